"""The plan of a Deployment: one step at a time, as values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.deployment import compute_sets, compute_status, plan
from trireme.domain import templates

NOW = 1893456000.0


def deployment(replicas: int = 10, image: str = "v2", **spec: Any) -> Deployment:
    rolling = {"maxSurge": spec.pop("surge", 3), "maxUnavailable": spec.pop("unavailable", 2)}
    spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    made = harness.deployment("web", replicas, image, progressDeadlineSeconds=600, **spec)
    made.metadata.uid = "deployment-uid"
    made.metadata.generation = 1
    return made


def replica_set(
    owner: Deployment, image: str, size: int, available: int | None = None, age: int = 0
) -> ReplicaSet:
    """One of the owner's, as a plan would have made it."""
    template = deployment(image=image).spec.template
    like = msgspec.structs.replace(owner.spec, template=template)
    made = compute_sets.new_replica_set(
        msgspec.structs.replace(owner, spec=like), [], f"2029-01-01T00:00:{age:02d}Z"
    )
    made = compute_sets.resized(made, size)
    made.metadata.uid = f"uid-{image}"
    count = size if available is None else available
    status = msgspec.structs.replace(
        made.status, replicas=size, readyReplicas=count, availableReplicas=count
    )
    return msgspec.structs.replace(made, status=status)


def sizes(planned: plan.Plan) -> dict[str, int]:
    """What the plan asks of each ReplicaSet, by image."""
    return {
        a.replica_set.spec.template.spec.containers[0].image: compute_sets.size(a.replica_set)
        for a in planned.actions
        if not isinstance(a, plan.Delete)
    }


def step(owner: Deployment, *sets: ReplicaSet, pods: dict | None = None) -> plan.Plan:
    return plan.plan(owner, sets, pods or {}, NOW)


def test_the_first_replica_set_has_all_pods_at_once():
    planned = step(deployment())
    (create,) = planned.actions
    made = create.replica_set
    assert compute_sets.size(made) == 10
    assert create.note == f"Scaled up replica set {made.metadata.name} from 0 to 10"
    value = made.metadata.labels[templates.HASH_LABEL]
    assert made.metadata.name == f"web-{value}"
    assert made.spec.selector.matchLabels == {"app": "web", templates.HASH_LABEL: value}
    assert made.metadata.annotations == {
        compute_sets.REVISION: "1",
        compute_sets.DESIRED: "10",
        compute_sets.MAXIMUM: "13",
    }
    assert planned.deployment.metadata.annotations[compute_sets.REVISION] == "1"
    found = compute_status.condition(planned.deployment.status.conditions, "Progressing")
    assert (found.reason, found.message) == (
        "NewReplicaSetCreated",
        f'Created new replica set "{made.metadata.name}"',
    )


def test_a_new_version_begins_with_what_the_surge_allows():
    owner = deployment()
    planned = step(owner, replica_set(owner, "v1", 10))
    # The pods that may be missing go at once.
    assert sizes(planned) == {"v2": 3, "v1": 8}
    assert [type(action) for action in planned.actions] == [plan.Create, plan.Update]


@pytest.mark.parametrize(
    ("old", "old_ready", "new", "new_ready", "expected"),
    [
        (10, 10, 3, 0, {"v1": 8}),
        (10, 10, 0, 0, {"v2": 3}),
        (8, 8, 3, 0, {"v2": 5}),
        (8, 8, 5, 0, {}),
        (8, 8, 5, 2, {"v1": 6}),
        (8, 8, 5, 5, {"v1": 3}),
        (8, 5, 5, 0, {}),
        # Pods that do not work go first and need not be waited for.
        (8, 5, 5, 3, {"v1": 5}),
        (1, 1, 10, 10, {"v1": 0}),
    ],
)
def test_steps_of_a_rolling_update(old, old_ready, new, new_ready, expected):
    owner = deployment()
    before = replica_set(owner, "v1", old, old_ready)
    after = replica_set(owner, "v2", new, new_ready, age=1)
    after.metadata.annotations[compute_sets.REVISION] = "2"
    assert sizes(step(owner, before, after)) == expected


def test_percentages_round_so_that_something_can_move():
    assert compute_sets.fenceposts(deployment(10, surge="25%", unavailable="25%")) == (3, 2)
    assert compute_sets.fenceposts(deployment(1, surge="0%", unavailable="25%")) == (0, 1)
    assert compute_sets.fenceposts(deployment(0, surge=0, unavailable="25%")) == (0, 0)


@pytest.mark.parametrize(
    ("before", "after", "old", "new", "expected"),
    [
        (10, 20, 8, 5, {"v1": 14, "v2": 9}),
        (10, 5, 8, 5, {"v1": 5, "v2": 3}),
        (10, 0, 8, 5, {"v1": 0, "v2": 0}),
    ],
)
def test_scaling_in_the_middle_of_a_rollout_is_shared(before, after, old, new, expected):
    then = deployment(before)
    sets = [replica_set(then, "v1", old), replica_set(then, "v2", new, age=1)]
    sets[1].metadata.annotations[compute_sets.REVISION] = "2"
    owner = deployment(after)
    assert sizes(step(owner, *sets)) == expected
    surge = compute_sets.fenceposts(owner)[0] if after else 0
    assert sum(expected.values()) == after + surge


def test_recreate_waits_for_the_last_old_pod():
    owner = deployment(strategy={"type": "Recreate"})
    old = replica_set(owner, "v1", 10)
    assert sizes(step(owner, old)) == {"v1": 0}
    empty = compute_sets.resized(replica_set(owner, "v1", 0), 0)
    ending = Pod()
    ending.status.phase = "Running"
    assert sizes(step(owner, empty, pods={"uid-v1": [ending]})) == {}
    ending.status.phase = "Succeeded"
    assert sizes(step(owner, empty, pods={"uid-v1": [ending]})) == {"v2": 10}


def test_paused_deployments_scale_and_do_nothing_else():
    owner = deployment(paused=True)
    planned = step(owner, replica_set(owner, "v1", 4))
    assert sizes(planned) == {"v1": 10}
    found = compute_status.condition(planned.deployment.status.conditions, "Progressing")
    assert (found.status, found.reason) == ("Unknown", "DeploymentPaused")


def test_rolling_back_gives_the_old_replica_set_a_new_revision():
    owner = deployment(image="v1")
    first = replica_set(owner, "v1", 0)
    second = replica_set(owner, "v2", 10, age=1)
    second.metadata.annotations[compute_sets.REVISION] = "2"
    planned = step(owner, first, second)
    assert sizes(planned) == {"v1": 3}
    (update,) = planned.actions
    annotations = update.replica_set.metadata.annotations
    assert annotations[compute_sets.REVISION] == "3"
    assert annotations[compute_sets.HISTORY] == "1"
    assert planned.deployment.metadata.annotations[compute_sets.REVISION] == "3"


def test_a_rollout_that_does_not_move_is_late_once_and_moves_on_again():
    owner = deployment(2, surge=1, unavailable=0)
    sets = [replica_set(owner, "v1", 2), replica_set(owner, "v2", 1, 0, age=1)]
    sets[1].metadata.annotations[compute_sets.REVISION] = "2"
    began = step(owner, *sets)
    assert began.revisit == 601.0
    # The status is written; then nothing happens until the deadline.
    still = plan.plan(began.deployment, sets, {}, NOW + 100)
    assert still.actions == [] and still.deployment == began.deployment
    assert still.revisit == 501.0
    late = plan.plan(still.deployment, sets, {}, NOW + 602)
    found = compute_status.condition(late.deployment.status.conditions, "Progressing")
    assert (found.status, found.reason) == ("False", "ProgressDeadlineExceeded")
    assert found.message == f'ReplicaSet "{sets[1].metadata.name}" has timed out progressing.'
    assert late.revisit is None
    again = plan.plan(late.deployment, sets, {}, NOW + 700)
    assert again.deployment == late.deployment
    moved = msgspec.structs.replace(sets[1].status, readyReplicas=1, availableReplicas=1)
    sets[1] = msgspec.structs.replace(sets[1], status=moved)
    better = plan.plan(again.deployment, sets, {}, NOW + 800)
    found = compute_status.condition(better.deployment.status.conditions, "Progressing")
    assert (found.status, found.reason) == ("True", "ReplicaSetUpdated")


def test_history_is_cleaned_when_the_rollout_is_complete():
    owner = deployment(image="v5", revisionHistoryLimit=2)
    sets = []
    for number in range(1, 6):
        item = replica_set(owner, f"v{number}", 10 if number == 5 else 0, age=number)
        item.metadata.annotations[compute_sets.REVISION] = str(number)
        sets.append(item)
    unfinished = step(owner, *sets)
    assert unfinished.actions == []
    complete = plan.plan(unfinished.deployment, sets, {}, NOW)
    gone = [a.replica_set.metadata.annotations[compute_sets.REVISION] for a in complete.actions]
    assert gone == ["1", "2"]


def test_names_of_versions_differ_and_last():
    template = deployment().spec.template
    value = templates.hash_of(template, None)
    assert value == templates.hash_of(templates.with_hash(template, value), None)
    assert len({value, templates.hash_of(template, 1), templates.hash_of(template, 2)}) == 3
    other = deployment(image="v3").spec.template
    assert templates.hash_of(other, None) != value
