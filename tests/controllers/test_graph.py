"""The graph of owners, and what becomes of an object by the state of its owners."""

from __future__ import annotations

import pytest

from trireme.controllers.cleanup import plan_garbage
from trireme.controllers.cleanup.graph import Graph, Kind, Node
from trireme.controllers.cleanup.plan_garbage import Delete, Keep, Owner
from trireme.machinery.meta import OwnerReference

SETS = Kind("apps", "v1", "replicasets", "ReplicaSet", True)
PODS = Kind("", "v1", "pods", "Pod", True)
S, D, W = Owner.SOLID, Owner.DANGLING, Owner.WAITING


def reference(uid: str, name: str = "", *, blocks: bool = True) -> OwnerReference:
    return OwnerReference(
        apiVersion="apps/v1",
        kind="ReplicaSet",
        name=name or uid,
        uid=uid,
        blockOwnerDeletion=blocks,
    )


def owner(uid: str, *finalizers: str, namespace: str = "default") -> Node:
    return Node(SETS, namespace, uid, uid, (), bool(finalizers), finalizers)


def pod(uid: str, *owners: OwnerReference, namespace: str = "default") -> Node:
    return Node(PODS, namespace, uid, uid, owners)


def test_what_a_change_concerns():
    graph = Graph()
    assert graph.put(pod("a", reference("web"))) == ["a"]
    # The owner comes: all is well, and nobody need look.
    assert graph.put(owner("web")) == []
    assert graph.put(pod("b", reference("web"))) == []
    assert graph.put(pod("b", reference("web"))) == []
    assert [node.uid for node in graph.dependents("web")] == ["a", "b"]
    assert graph.remove("web") == ["a", "b"]
    assert sorted(graph.unknown_owners()) == ["a", "b"]
    # It goes by itself.
    assert graph.put(Node(PODS, "default", "b", "b", (reference("web"),), deleting=True)) == []
    assert graph.remove("a") == []
    assert graph.remove("never") == []


def test_an_owner_that_waits_looks_when_its_dependents_change():
    graph = Graph()
    graph.put(owner("web"))
    graph.put(pod("a", reference("web")))
    graph.put(pod("b", reference("web")))
    # All dependents are looked at once, as those that do not block go at once, too.
    assert graph.put(owner("web", "foregroundDeletion")) == ["web", "a", "b"]
    assert graph.put(owner("web", "foregroundDeletion", "a.b/more")) == ["web"]
    assert [node.uid for node in graph.blocking("web")] == ["a", "b"]
    assert graph.put(pod("a", reference("web", blocks=False))) == ["a", "web"]
    assert [node.uid for node in graph.blocking("web")] == ["b"]
    assert graph.put(pod("a")) == ["web"]
    assert graph.remove("b") == ["web"]
    assert graph.blocking("web") == []


def test_owners_that_are_not_what_a_reference_says():
    graph = Graph()
    graph.put(owner("web"))
    assert graph.put(pod("a", reference("web", "other-name"))) == ["a"]
    assert graph.put(pod("b", reference("web"), namespace="elsewhere")) == ["b"]
    stranger = graph.get("b")
    assert stranger is not None
    assert [item.uid for item in graph.mismatched(stranger)] == ["web"]
    # Also when the owner comes later.
    late = Graph()
    late.put(pod("b", reference("web"), namespace="elsewhere"))
    assert late.put(owner("web")) == ["b"]


@pytest.mark.parametrize(
    ("owners", "finalizers", "dependents", "expected"),
    [
        ([], [], False, Keep()),
        ([S], [], False, Keep()),
        ([S, S], [], True, Keep()),
        ([D], [], True, Delete("Background")),
        ([D], ["orphan"], True, Delete("Orphan")),
        ([D], ["foregroundDeletion"], True, Delete("Foreground")),
        ([W], [], False, Delete("Background")),
        ([W], [], True, Delete("Foreground")),
        ([W, D], [], True, Delete("Foreground")),
    ],
)
def test_judgements(owners, finalizers, dependents, expected):
    references = [(reference(str(number)), state) for number, state in enumerate(owners)]
    found = plan_garbage.plan_deletion(
        references, finalizers, dependents=dependents, dependent_waits=False
    )
    assert found == expected


def test_an_object_with_one_owner_left_keeps_that():
    one, two, three = reference("1"), reference("2"), reference("3")
    references = [(one, S), (two, D), (three, W)]
    found = plan_garbage.plan_deletion(references, [], dependents=True, dependent_waits=False)
    assert found == Keep([one])


def test_circles_are_cut():
    found = plan_garbage.plan_deletion(
        [(reference("1"), W)], [], dependents=True, dependent_waits=True
    )
    assert found == Delete("Foreground", [reference("1", blocks=False)])
