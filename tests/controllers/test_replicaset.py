"""ReplicaSets: whom they take, whom they let go, who goes first, and what they report."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.api.core.v1.replicationcontroller import ReplicationController
from trireme.controllers.workloads import batches, plan_replicaset
from trireme.machinery import errors, meta, time
from trireme.testing import virtual

NOW = 1893456000.0


def replica_set(replicas: int = 3, **spec: Any) -> ReplicaSet:
    labels = {"app": "web"}
    manifest = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": harness.template(labels),
            **spec,
        },
    }
    return msgspec.convert(manifest, ReplicaSet)


def bare(name: str, **labels: str) -> core.Pod:
    return core.Pod(
        metadata=meta.ObjectMeta(name=name, namespace="default", labels=labels),
        spec=core.PodSpec(containers=[core.Container(name="main", image="v1")]),
    )


def pod(
    uid: str,
    node: str = "a",
    phase: str = "Running",
    ready: float | None = 1000.0,
    cost: str = "",
    restarts: int = 0,
    age: float = 2000.0,
) -> core.Pod:
    """``ready`` and ``age``: for how many seconds."""
    made = core.Pod()
    made.metadata.uid = uid
    made.metadata.creationTimestamp = time.format(NOW - age)
    if cost:
        made.metadata.annotations[plan_replicaset.DELETION_COST] = cost
    made.spec.nodeName = node
    made.status.phase = phase
    made.status.containerStatuses = [core.ContainerStatus(name="main", restartCount=restarts)]
    if ready is not None:
        since = time.format(NOW - ready)
        made.status.conditions = [
            core.PodCondition(type="Ready", status="True", lastTransitionTime=since)
        ]
    return made


def test_who_goes_first():
    ranked = [
        pod("unassigned", node="", phase="Pending", ready=None),
        pod("pending", phase="Pending", ready=None),
        pod("unready", ready=None),
        pod("cheap", cost="-5"),
        pod("crowded", node="b"),
        pod("young", ready=10.0),
        pod("restarted", restarts=3),
        pod("new", age=100.0),
        pod("old"),
        pod("dear", cost="100"),
    ]
    related = [*ranked, pod("sibling", node="b", ready=None)]
    related += [pod(f"more-{i}", node="b") for i in range(10)]
    shuffled = random.Random(4).sample(ranked, len(ranked))
    found = plan_replicaset.rank(shuffled, related, NOW)
    assert [p.metadata.uid for p in found] == [p.metadata.uid for p in ranked]


def test_pods_of_about_an_age():
    """Ages count by their magnitude; within one, the uid decides, so that no zone is emptied."""
    ranked = [pod("c", ready=10.0), pod("a", ready=1000.0), pod("b", ready=900.0)]
    found = plan_replicaset.rank(ranked[::-1], [], NOW)
    assert [p.metadata.uid for p in found] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("text", "cost"), [("", 0), ("10", 10), ("-10", -10), ("+10", 0), ("007", 0), ("1.5", 0)]
)
def test_deletion_costs(text, cost):
    assert plan_replicaset.deletion_cost(pod("x", cost=text)) == cost


def test_how_many():
    expected = replica_set(3)
    many = [pod(str(number)) for number in range(5)]
    assert plan_replicaset.change(expected, many[:1], [], NOW) == plan_replicaset.Create(2)
    assert plan_replicaset.change(expected, many[:3], [], NOW) is None
    assert len(plan_replicaset.change(expected, many, many, NOW).pods) == 2
    assert plan_replicaset.change(replica_set(2000), [], [], NOW) == plan_replicaset.Create(500)


async def test_slow_start_stops_at_the_first_batch_that_fails():
    tried = 0

    async def act() -> None:
        nonlocal tried
        tried += 1
        if tried > 3:
            raise errors.forbidden("pods", "x", "quota")

    done, failure = await batches.slow_start(100, act)
    assert (done, tried) == (3, 7)
    assert failure is not None and errors.is_forbidden(failure)


@virtual.test()
async def test_pods_are_adopted_released_and_replaced(env):
    async with harness.world(env) as w:
        await w.client.create(bare("mine", app="web"))
        await w.client.create(bare("other", app="api"))
        await w.client.create(replica_set())
        await w.until(lambda: len(w.pods(app="web")) == 3)
        await w.quiet(5)
        mine = w.get(core.Pod, "mine")
        assert [(r.kind, r.controller) for r in mine.metadata.ownerReferences] == [
            ("ReplicaSet", True)
        ]
        assert w.get(core.Pod, "other").metadata.ownerReferences == []
        relabel = {"metadata": {"labels": {"app": "debug"}}}
        await w.client.patch(core.Pod, "mine", "default", relabel)
        await w.until(lambda: len(w.pods(app="web")) == 3)
        await w.until(lambda: w.get(core.Pod, "mine").metadata.ownerReferences == [])
        await w.client.delete(core.Pod, w.pods(app="web")[0].metadata.name, "default")
        await w.quiet(5)
        assert len(w.pods(app="web")) == 3
        assert not await w.quiet(60)


@virtual.test()
async def test_pods_that_are_going_are_counted_up_to_the_deployment(env):
    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        await w.until(lambda: len(w.pods(app="web")) == 3)
        going = w.pods(app="web")[0].metadata.name
        held = {"metadata": {"finalizers": ["a.b/keep"]}}
        await w.client.patch(core.Pod, going, "default", held)
        await w.client.delete(core.Pod, going, "default")
        await w.until(lambda: w.get(Deployment, "web").status.terminatingReplicas == 1)
        (replica_set,) = w.list(ReplicaSet)
        assert (replica_set.status.terminatingReplicas, replica_set.status.replicas) == (1, 3)
        await w.client.patch(core.Pod, going, "default", {"metadata": {"finalizers": None}})
        await w.until(lambda: w.get(Deployment, "web").status.terminatingReplicas == 0)


@virtual.test()
async def test_pods_are_available_only_when_they_were_ready_for_long_enough(env):
    async with harness.world(env) as w:
        await w.client.create(replica_set(minReadySeconds=30))
        await w.until(lambda: w.find(ReplicaSet, "web"))
        await w.until(lambda: w.get(ReplicaSet, "web").status.readyReplicas == 3)
        assert w.get(ReplicaSet, "web").status.availableReplicas == 0
        waited = await w.until(lambda: w.get(ReplicaSet, "web").status.availableReplicas == 3)
        assert 28 <= waited <= 32
        assert not await w.quiet(60)


@virtual.test()
async def test_what_keeps_pods_from_being_made_is_told_and_forgotten(env):
    async with harness.world(env) as w:
        await w.client.create(replica_set(template=_with_account("robot")))
        await w.until(
            lambda: w.find(ReplicaSet, "web") and w.get(ReplicaSet, "web").status.conditions
        )
        (condition,) = w.get(ReplicaSet, "web").status.conditions
        assert (condition.type, condition.reason) == ("ReplicaFailure", "FailedCreate")
        assert 'serviceaccount "robot" not found' in condition.message
        await w.until(lambda: "FailedCreate" in w.reasons("web"))
        account = core.ServiceAccount(metadata=meta.ObjectMeta(name="robot", namespace="default"))
        await w.client.create(account)
        await w.until(lambda: len(w.pods(app="web")) == 3, 1000)
        await w.until(lambda: not w.get(ReplicaSet, "web").status.conditions)


@virtual.test()
async def test_a_thousand_pods_are_made_exactly_once(env):
    async with harness.world(env, plays="") as w:
        await w.client.create(replica_set(1000))
        await w.until(lambda: len(w.pods(app="web")) == 1000)
        await w.quiet(30)
        made = [path for (_, method, path) in w.writes.elements() if method == "POST"]
        assert sum(path.endswith("/pods") for path in made) == 1000
        await w.client.patch(ReplicaSet, "web", "default", {"spec": {"replicas": 10}})
        await w.until(lambda: len(w.pods(app="web")) == 10)


def _with_account(name: str) -> dict:
    made = harness.template({"app": "web"})
    made["spec"]["serviceAccountName"] = name
    return made


@virtual.test()
async def test_a_replication_controller_keeps_its_pods(env):
    async with harness.world(env) as w:
        labels = {"app": "old"}
        manifest = {
            "metadata": {"name": "old", "namespace": "default"},
            "spec": {"replicas": 2, "selector": labels, "template": harness.template(labels)},
        }
        await w.client.create(msgspec.convert(manifest, ReplicationController))
        await w.until(lambda: len(w.pods(app="old")) == 2)
        owner = w.pods(app="old")[0].metadata.ownerReferences[0]
        assert (owner.apiVersion, owner.kind) == ("v1", "ReplicationController")
        await w.until(lambda: w.find(ReplicationController, "old"))
        await w.until(lambda: w.get(ReplicationController, "old").status.readyReplicas == 2)
        await w.client.patch(ReplicationController, "old", "default", {"spec": {"replicas": 1}})
        await w.until(lambda: w.get(ReplicationController, "old").status.replicas == 1)
        assert not await w.quiet(60)
