"""ControllerRevisions: which is the present one, which are kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers.cases import statefulset as case
from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.controllers.workloads.history import compute_revisions
from trireme.controllers.workloads.history.compute_revisions import Create, Keep, Renumber
from trireme.machinery.patch import strategic
from trireme.machinery.schema import normalise, tree


def owner(image: str = "v1") -> Any:
    made = case.manifest(image=image)
    normalise.normalise(made)
    pod_defaults.template(made.spec.template)
    return made


def stored(image: str, number: int) -> ControllerRevision:
    """As the API server gives it back."""
    found = owner(image)
    made = compute_revisions.made(found, compute_revisions.data_of(found.spec.template), number, 0)
    return msgspec.json.decode(msgspec.json.encode(made), type=ControllerRevision)


def test_the_first_and_the_next_are_created():
    made = compute_revisions.choose(owner(), [], 0)
    assert isinstance(made, Create) and made.revision.revision == 1
    made = compute_revisions.choose(owner("v2"), [stored("v1", 1), stored("v3", 5)], 0)
    assert isinstance(made, Create) and made.revision.revision == 6
    metadata = made.revision.metadata
    assert metadata.labels["app"] == "db"
    assert metadata.name == f"db-{metadata.labels['controller.kubernetes.io/hash']}"
    (reference,) = metadata.ownerReferences
    assert (reference.kind, reference.name, reference.controller) == ("StatefulSet", "db", True)


def test_the_newest_is_kept_and_an_old_one_gets_the_next_number():
    history = [stored("v1", 1), stored("v2", 2)]
    assert compute_revisions.choose(owner("v2"), history, 0) == Keep(history[1])
    again = compute_revisions.choose(owner("v1"), history, 0)
    assert isinstance(again, Renumber)
    assert (again.revision.metadata.name, again.revision.revision) == (
        history[0].metadata.name,
        3,
    )


def test_a_template_in_another_form_is_the_same_revision():
    """Nulls, and defaults that are not written: what an older version of upstream wrote."""
    plain = {
        "metadata": {"creationTimestamp": None, "labels": {"app": "db"}},
        "spec": {
            "containers": [
                {"name": "main", "image": "v1", "ports": [{"name": "http", "containerPort": 80}]}
            ]
        },
        "$patch": "replace",
    }
    old = msgspec.structs.replace(stored("v1", 4), data={"spec": {"template": plain}})
    assert compute_revisions.choose(owner("v1"), [old], 0) == Keep(old)
    assert isinstance(compute_revisions.choose(owner("v2"), [old], 0), Create)


@pytest.mark.parametrize("data", [None, {}, {"spec": 1}, {"spec": {"template": {"spec": []}}}])
def test_a_revision_that_holds_no_template_is_none(data):
    broken = msgspec.structs.replace(stored("v1", 1), data=data)
    assert compute_revisions.template_of(broken) is None
    assert isinstance(compute_revisions.choose(owner(), [broken], 0), Create)


def test_the_data_is_a_patch_that_brings_the_template_back():
    found = owner("v2")
    live = msgspec.to_builtins(found)
    live["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    back: Any = strategic.apply(live, stored("v1", 1).data, tree.of(found.__class__))
    assert back["spec"]["template"]["spec"]["containers"][0]["image"] == "v1"
    assert "nodeSelector" not in back["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("live", "limit", "gone"),
    [
        ({"db-e"}, 2, ["db-a", "db-b"]),
        ({"db-a", "db-e"}, 2, ["db-b"]),
        ({"db-e"}, 0, ["db-a", "db-b", "db-c", "db-d"]),
        ({"db-e"}, -1, []),
        ({"db-e"}, None, []),
        (set(), 9, []),
    ],
)
def test_what_is_no_longer_kept(live, limit, gone):
    history = []
    for number, letter in enumerate("abcde"):
        item = stored("v1", number)
        item.metadata.name = f"db-{letter}"
        history.append(item)
    found = compute_revisions.surplus(history, live, limit)
    assert [item.metadata.name for item in found] == gone


def test_equal_numbers_are_ordered_by_age_and_name():
    history = [stored("v1", 2), stored("v1", 1), stored("v1", 1)]
    for item, name, age in zip(history, "cba", ("1", "3", "3"), strict=True):
        item.metadata.name, item.metadata.creationTimestamp = name, f"2030-01-0{age}T00:00:00Z"
    found = compute_revisions.ordered(history)
    assert [item.metadata.name for item in found] == ["a", "b", "c"]
