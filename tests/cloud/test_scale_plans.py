"""What grows and what goes: the autoscaler's plans, case by case."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trireme.api.core import v1 as core
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.cloud.autoscaler import plan_scale_down as down
from trireme.cloud.autoscaler import plan_scale_up as up
from trireme.cloud.autoscaler.compute_fit import Search, Snapshot
from trireme.cloud.autoscaler.settings import Settings
from trireme.cloud.contract import NodeGroup
from trireme.machinery.meta import LabelSelector, ObjectMeta, OwnerReference


def node(name: str, cpu: str = "4", memory: str = "8Gi", **fields: Any) -> core.Node:
    amounts = {"cpu": cpu, "memory": memory, "pods": "110"}
    status = core.NodeStatus(allocatable=amounts, capacity=amounts)
    return core.Node(metadata=ObjectMeta(name=name, **fields), status=status)


def pod(name: str, cpu: str = "1", *, owner: str = "ReplicaSet", **fields: Any) -> core.Pod:
    references = []
    if owner:
        version = "apps/v1"
        references = [
            OwnerReference(
                apiVersion=version, kind=owner, name="o", uid=f"o-{cpu}", controller=True
            )
        ]
    metadata: dict[str, Any] = {
        "namespace": "default",
        "labels": {"app": "x"},
        "ownerReferences": references,
    }
    metadata |= fields.pop("metadata", {})
    resources = core.ResourceRequirements(requests={"cpu": cpu})
    spec = core.PodSpec(containers=[core.Container(name="c", resources=resources)], **fields)
    return core.Pod(metadata=ObjectMeta(name=name, uid=name, **metadata), spec=spec)


def group(
    name: str = "g", size: int = 0, most: int = 10, least: int = 0, **fields: Any
) -> NodeGroup:
    return NodeGroup(
        id=name,
        min_size=least,
        max_size=most,
        target_size=size,
        instances=(),
        template=node("template", **fields),
    )


def test_pods_are_packed_the_largest_first():
    pods = [pod("a", "1"), pod("b", "3"), pod("c", "1"), pod("d", "3")]
    snapshot = Snapshot({})
    option = up.plan(snapshot, pods, [group()]).option
    assert option is not None
    assert (option.delta, len(option.pods)) == (2, 4)
    assert not snapshot.nodes, "the snapshot is as it was"


def test_pods_of_daemon_sets_take_their_room():
    daemon = pod("daemon", "1500m", owner="DaemonSet")
    option = up.plan(
        Snapshot({}), [pod("a", "2"), pod("b", "2")], [group()], daemons=[daemon]
    ).option
    assert option is not None and option.delta == 2


@pytest.mark.parametrize(
    ("groups", "blocked", "room", "reasons"),
    [
        ([group(most=0)], {}, None, "1 max node group size reached"),
        ([group()], {}, 0, "1 max node group size reached"),
        ([group()], {"g": up.IN_BACKOFF}, None, "1 in backoff after failed scale-up"),
        (
            [group(cpu="1"), group("h", most=0)],
            {},
            None,
            "1 Insufficient cpu, 1 max node group size reached",
        ),
        ([], {}, None, ""),
    ],
)
def test_why_no_group_helps(groups, blocked, room, reasons):
    result = up.plan(Snapshot({}), [pod("a", "2")], groups, blocked=blocked, room=room)
    assert result.option is None
    ((refused, counts),) = result.refused
    assert refused.metadata.name == "a"
    assert up.reasons(counts) == reasons


@pytest.mark.parametrize(
    ("expander", "picked"),
    [
        ("least-waste", "small"),
        ("least-nodes", "large"),
        ("most-pods", "large"),
        ("random", "large"),
    ],
)
def test_expanders(expander, picked):
    groups = [group("small", cpu="2"), group("large", cpu="32")]
    pods = [pod(f"p{number}", "1") for number in range(4)] + [pod("big", "8")]
    option = up.plan(Snapshot({}), pods, groups, expander=expander, luck=0.9).option
    assert option is not None and option.group.id == picked


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["500m", "1", "1500m", "2", "5"]), max_size=12),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_what_a_plan_promises_comes_true(requests, most, there):
    """The pods of an option fit so many new nodes, and no fewer nodes than the requests need."""
    pods = [pod(f"p{number}", text) for number, text in enumerate(requests)]
    snapshot = Snapshot({})
    for number in range(there):
        snapshot.add_node(node(f"n{number}", "1"))
    left = up.place(snapshot, pods)
    result = up.plan(snapshot, left, [group(most=most)])
    helped = result.option.pods if result.option is not None else []
    assert len(helped) + len(result.refused) == len(left)
    if result.option is not None:
        assert 1 <= result.option.delta <= most
        for number in range(result.option.delta):
            snapshot.add_node(up.from_template(group().template, f"new-{number}"))
        again = up.place(
            snapshot, sorted(helped, key=lambda one: -snapshot.request(one).resources["cpu"])
        )
        assert not again
        total = sum(snapshot.request(one).resources["cpu"] for one in pods)
        assert there * 1000 + result.option.delta * 4000 >= total - sum(
            snapshot.request(one).resources["cpu"] for one, _ in result.refused
        )


def test_a_search_goes_on_where_alike_pods_ended():
    snapshot = Snapshot({})
    states = [snapshot.add_node(node(f"n{number}", "1")) for number in range(3)]
    search = Search(snapshot, states)
    places = []
    for number in range(4):
        found = search.find(pod(f"p{number}"))
        if found is not None:
            snapshot.add(pod(f"p{number}"), found)
        places.append(found.name if found is not None else "")
    assert places == ["n0", "n1", "n2", ""]
    states.append(snapshot.add_node(node("n3")))
    late = search.find(pod("p4"))
    assert late is not None and late.name == "n3"
    assert search.find(pod("tiny", "0")) is states[0], "another kind of pod begins at the first"


EVICTABLE = {down.SAFE_TO_EVICT: "true"}
LOCAL = [core.Volume(name="data", emptyDir=core.EmptyDirVolumeSource())]
MEMORY = [core.Volume(name="data", emptyDir=core.EmptyDirVolumeSource(medium="Memory"))]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (pod("p"), ""),
        (pod("p", owner=""), "pod is not replicated"),
        (pod("p", owner="", metadata={"annotations": EVICTABLE}), ""),
        (pod("p", metadata={"annotations": {down.SAFE_TO_EVICT: "false"}}), "not safe to evict"),
        (pod("p", owner="Postgres"), "controlled by a Postgres"),
        (pod("p", owner="StatefulSet"), ""),
        (pod("p", metadata={"namespace": "kube-system"}), "system pod without"),
        (pod("p", volumes=LOCAL), "local storage"),
        (pod("p", volumes=MEMORY), ""),
        (pod("p", volumes=LOCAL, metadata={"annotations": {down.SAFE_VOLUMES: "a, data"}}), ""),
        (pod("p", volumes=LOCAL, metadata={"annotations": EVICTABLE}), ""),
    ],
)
def test_what_keeps_a_node(made, reason):
    found = down.keeps_node(made, False, Settings())
    assert (reason in found) if reason else found == ""


def plan(snapshot: Snapshot, *names: str, budgets: Any = (), **fields: Any) -> down.Plan:
    by_namespace = {"default": list(budgets)} if budgets else {}
    return down.plan(snapshot, names, by_namespace, Settings(**fields))


def removed(found: down.Plan) -> list[tuple[str, list[str]]]:
    return [
        (one.node.metadata.name, [pod.metadata.name for pod in one.pods]) for one in found.removals
    ]


def test_a_node_goes_when_its_pods_fit_elsewhere():
    snapshot = Snapshot({})
    snapshot.add_node(node("a"), [pod("a1"), pod("daemon", owner="DaemonSet")])
    snapshot.add_node(node("b"), [pod("b1", "3")])
    assert removed(plan(snapshot, "a", "b", utilization=0.6)) == [("a", ["a1"])]
    assert "a1" in snapshot.nodes["b"].pods


def test_two_nodes_do_not_each_count_on_the_other():
    snapshot = Snapshot({})
    snapshot.add_node(node("a"), [pod("a1")])
    snapshot.add_node(node("b"), [pod("b1")])
    found = plan(snapshot, "a", "b")
    assert removed(found) == [("a", ["a1"])]
    assert found.unremovable == {"b": "no place for pod default/b1"} or "b" in found.unremovable


@pytest.mark.parametrize(
    ("made", "pods", "reason"),
    [
        (node("a", annotations={down.DISABLED: "true"}), [], "disabled"),
        (node("a"), [pod("a1", "2")], "utilization"),
        (node("a"), [pod("a1", owner="")], "not replicated: default/a1"),
        (node("a"), [pod("a1", nodeSelector={"x": "y"})], "no place for pod default/a1"),
    ],
)
def test_a_node_that_stays(made, pods, reason):
    snapshot = Snapshot({})
    snapshot.add_node(made, pods)
    snapshot.add_node(node("b"))
    found = plan(snapshot, "a")
    assert not found.removals
    assert reason in found.unremovable["a"]
    assert {one.metadata.name for one in pods} == set(snapshot.nodes["a"].pods), "all is put back"


def test_budgets_hold_over_all_nodes_that_go():
    budget = PodDisruptionBudget(metadata=ObjectMeta(name="x", namespace="default", uid="x"))
    budget.spec.selector = LabelSelector(matchLabels={"app": "x"})
    budget.status.disruptionsAllowed = 1
    snapshot = Snapshot({})
    snapshot.add_node(node("a"), [pod("a1")])
    snapshot.add_node(node("b"), [pod("b1")])
    snapshot.add_node(node("big", "32"))
    found = plan(snapshot, "a", "b", budgets=[budget])
    assert removed(found) == [("a", ["a1"])]
    assert found.unremovable["b"] == "not enough pod disruption budget: default/x"


def test_only_its_own_pods_are_evicted():
    snapshot = Snapshot({})
    snapshot.add_node(node("a"), [pod("a1")])
    snapshot.add_node(node("b"), [pod("b1")])
    snapshot.add_node(node("big", "32"))
    found = plan(snapshot, "a", "b")
    # On its way out a1 was thought to be on b for a moment.
    assert removed(found) == [("a", ["a1"]), ("b", ["b1"])]
    assert set(snapshot.nodes) == {"big"}
    assert set(snapshot.nodes["big"].pods) == {"a1", "b1"}


def test_when_they_go():
    removals = [
        down.Removal(node("empty"), [], 0.0),
        down.Removal(node("one"), [pod("p")], 0.1),
        down.Removal(node("two"), [pod("q")], 0.1),
        down.Removal(node("young"), [], 0.0),
        down.Removal(node("unready"), [], 0.0),
        down.Removal(node("least"), [], 0.0),
    ]
    groups = [group(size=9), group("h", size=2, least=2)]
    group_of = dict.fromkeys(("empty", "one", "two", "young", "unready"), "g") | {"least": "h"}
    waited = dict.fromkeys(group_of, 700.0) | {"young": 599.0}
    found = down.due(removals, groups, group_of, waited, {"unready"}, (0, 0), Settings())
    assert [one.node.metadata.name for one in found] == ["empty", "one"]
    assert not down.due(removals, groups, group_of, waited, set(), (10, 0), Settings())
    drains = down.due(removals, groups, group_of, waited, set(), (1, 1), Settings())
    assert [one.node.metadata.name for one in drains] == ["empty", "unready"]


def test_reasons_are_counted():
    assert up.reasons(Counter({"b": 1, "a": 2})) == "2 a, 1 b"
