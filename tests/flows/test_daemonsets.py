"""Stories of a DaemonSet on real nodes: nodes come, are in trouble, and go."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.flows import screen
from trireme.api.apps import v1 as apps
from trireme.api.core import v1 as core
from trireme.domain import pods
from trireme.testing import virtual
from trireme.testing.fake_cri import Behaviour


def daemon_set(image: str = "agent:v1", **spec: Any) -> apps.DaemonSet:
    labels = {"app": "agent"}
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": "100m"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return msgspec.convert(
        {
            "metadata": {"name": "agent", "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
        },
        apps.DaemonSet,
    )


def ready_on(s: screen.Screen) -> list[str]:
    return sorted(pod.spec.nodeName for pod in s.pods("agent") if pods.is_ready(pod))


def images(s: screen.Screen) -> set[str]:
    return {pod.spec.containers[0].image for pod in s.pods("agent")}


async def update(s: screen.Screen, spec: dict[str, Any]) -> None:
    await s.client.patch(apps.DaemonSet, "agent", "default", {"spec": spec}, "strategic")


def template(image: str) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}


@virtual.test(seed=1)
async def test_every_node_gets_a_pod_also_one_that_is_cordoned(env):
    async with screen.watched(env, nodes=2) as s:
        await s.client.patch(core.Node, "node-1", "", {"spec": {"unschedulable": True}})
        await s.client.create(daemon_set())
        await s.until(lambda: ready_on(s) == ["node-0", "node-1"])
        # A label takes a node out, and brings it back.
        await update(s, {"template": {"spec": {"nodeSelector": {"kind": "edge"}}}})
        await s.until(lambda: not s.pods("agent"))
        await s.client.patch(core.Node, "node-0", "", {"metadata": {"labels": {"kind": "edge"}}})
        await s.until(lambda: ready_on(s) == ["node-0"])
        await s.client.patch(core.Node, "node-0", "", {"metadata": {"labels": {"kind": None}}})
        await s.until(lambda: not s.pods("agent"))


@virtual.test(seed=2)
async def test_a_dead_node_keeps_its_pod_and_holds_no_update_up(env):
    async with screen.watched(env, nodes=3) as s:
        await s.client.create(daemon_set())
        await s.until(lambda: len(ready_on(s)) == 3)
        await s.cluster.stop("node-2")
        # Pods of others are moved after five minutes; this one stays for when the node is back.
        await s.cluster.advance(900)
        assert len(s.pods("agent")) == 3
        assert s.find(apps.DaemonSet, "agent").status.numberReady == 2
        await update(s, template("agent:v2"))
        await s.cluster.advance(300)
        found = {pod.spec.nodeName: pod.spec.containers[0].image for pod in s.pods("agent")}
        # The dead node counts as unavailable: no other is touched beside it.
        assert found.get("node-2") is None
        assert {found["node-0"], found["node-1"]} == {"agent:v1"}
        await s.client.delete(core.Node, "node-2")
        await s.until(lambda: images(s) == {"agent:v2"} and len(ready_on(s)) == 2, 600)
        assert s.find(apps.DaemonSet, "agent").status.desiredNumberScheduled == 2


@virtual.test(seed=3)
async def test_an_update_goes_node_by_node_and_a_surge_leaves_none_without(env):
    async with screen.watched(env, nodes=3) as s:
        # Long enough for each state to be looked at.
        await s.client.create(daemon_set(minReadySeconds=1))
        await s.until(lambda: len(ready_on(s)) == 3)
        await update(s, template("agent:v2"))
        least = 3
        while not (images(s) == {"agent:v2"} and len(ready_on(s)) == 3):
            least = min(least, len(set(ready_on(s))))
            await env.clock.sleep(0.05)
        assert least >= 2
        await s.cluster.advance(2)
        rolling = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        await update(s, {**template("agent:v3"), "updateStrategy": rolling})
        most = 0
        while not (images(s) == {"agent:v3"} and len(ready_on(s)) == 3):
            assert len(set(ready_on(s))) == 3
            most = max(most, len(s.pods("agent")))
            await env.clock.sleep(0.05)
        assert most == 4
        assert sorted(r.revision for r in s.list(apps.ControllerRevision)) == [1, 2, 3]


@virtual.test(seed=4)
async def test_pods_that_fail_are_replaced_ever_later(env):
    async with screen.watched(env, nodes=1) as s:
        # The node refuses the pod: no node fits what it asks for, but it names its node itself.
        found = daemon_set()
        found.spec.template.spec.nodeName = "node-0"
        found.spec.template.spec.containers[0].resources.requests = {"cpu": "1000"}
        await s.client.create(found)
        await s.cluster.advance(60)
        created = [e for e in s.list(core.Event) if e.reason == "SuccessfulCreate"]
        # After 1, 2, 4, 8, 16 and 32 seconds.
        assert 5 <= sum(e.count for e in created) <= 8
        assert "FailedDaemonPod" in s.reasons("agent")


@virtual.test(seed=5)
async def test_on_delete_and_a_rollback(env):
    async with screen.watched(env, nodes=2) as s:
        await s.client.create(daemon_set(updateStrategy={"type": "OnDelete"}))
        await s.until(lambda: len(ready_on(s)) == 2)
        (first,) = s.list(apps.ControllerRevision)
        await update(s, template("agent:v2"))
        await s.cluster.advance(60)
        assert images(s) == {"agent:v1"}
        await s.client.delete(core.Pod, s.pods("agent")[0].metadata.name, "default")
        await s.cluster.advance(60)
        assert images(s) == {"agent:v1", "agent:v2"}
        assert s.find(apps.DaemonSet, "agent").status.updatedNumberScheduled == 1
        # kubectl rollout undo.
        await s.client.patch(apps.DaemonSet, "agent", "default", first.data, "strategic")
        await s.cluster.advance(10)
        assert s.find(apps.ControllerRevision, first.metadata.name).revision == 3
        assert s.find(apps.DaemonSet, "agent").status.updatedNumberScheduled == 1


@virtual.test(seed=6)
async def test_a_pod_that_ends_well_comes_again(env):
    async with screen.watched(env, nodes=1, behave=lambda c, p: Behaviour(run_seconds=5.0)) as s:
        await s.client.create(daemon_set())
        await s.until(lambda: s.pods("agent"))
        first = s.pods("agent")[0].metadata.name
        # restartPolicy is Always: the container is restarted, the pod stays.
        await s.cluster.advance(120)
        assert [pod.metadata.name for pod in s.pods("agent")] == [first]
