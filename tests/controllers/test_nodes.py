"""Nodes that fall silent, come back and go, and what becomes of their pods."""

from __future__ import annotations

import asyncio

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.controllers.nodes import plan_nodes, taint_eviction
from trireme.controllers.nodes.plan_nodes import ZoneState
from trireme.controllers.settings import NodeLifecycle, Settings
from trireme.machinery import meta
from trireme.testing import virtual


def taints(w: harness.World, node: str) -> set[tuple[str, str]]:
    found = w.get(core.Node, node, "").spec.taints
    return {(taint.key.rpartition("/")[2], taint.effect) for taint in found}


@virtual.test()
async def test_a_dead_nodes_pods_move_after_five_minutes(env):
    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        await w.until(lambda: sum(p.status.phase == "Running" for p in w.pods(app="web")) == 3)
        await w.node("node-1")
        second = asyncio.ensure_future(w.play("node-1"))
        await w.until(lambda: not taints(w, "node-0") and not taints(w, "node-1"))
        first = {pod.metadata.name for pod in w.pods(app="web")}
        w.nodes["node-0"].cancel()
        await w.until(lambda: taints(w, "node-0"))
        noticed = env.clock.monotonic()
        ready = plan_nodes.ready(w.get(core.Node, "node-0", "").status.conditions)
        assert (ready.status, ready.reason) == ("Unknown", "NodeStatusUnknown")
        await w.until(lambda: not any(harness.is_ready(pod) for pod in w.pods(app="web")), 10)
        assert {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")} == taints(w, "node-0")
        await w.until(
            lambda: not first & {pod.metadata.name for pod in w.pods(app="web")}, seconds=400
        )
        assert 299 <= env.clock.monotonic() - noticed <= 306
        moved = [pod for pod in w.list(core.Pod) if pod.metadata.name in first]
        for pod in moved:
            (condition,) = [c for c in pod.status.conditions if c.type == "DisruptionTarget"]
            assert condition.reason == "DeletionByTaintManager"
        await w.until(lambda: len([p for p in w.pods(app="web") if harness.is_ready(p)]) == 3)
        # The node is gone for good: so are the pods that nobody could end.
        await w.client.delete(core.Node, "node-0")
        await w.until(lambda: not first & {p.metadata.name for p in w.list(core.Pod)}, 120)
        assert w.reasons("node-0") == ["RegisteredNode", "NodeNotReady", "RemovingNode"]
        second.cancel()


@virtual.test()
async def test_a_node_that_comes_back_keeps_its_pods(env):
    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        await w.until(lambda: len(w.pods(app="web")) == 3)
        await w.node("node-1")
        second = asyncio.ensure_future(w.play("node-1"))
        await w.until(lambda: not taints(w, "node-0"))
        names = {pod.metadata.name for pod in w.pods(app="web")}
        w.nodes["node-0"].cancel()
        await w.until(lambda: ("unreachable", "NoExecute") in taints(w, "node-0"))
        await env.clock.sleep(200)
        await w.beat("node-0")
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {"status": {"conditions": [ready]}}
        await w.client.patch(core.Node, "node-0", None, status, "strategic", "status")
        third = asyncio.ensure_future(w.play("node-0"))
        await w.until(lambda: not taints(w, "node-0"))
        await env.clock.sleep(300)
        assert {pod.metadata.name for pod in w.pods(app="web")} == names
        assert not await w.quiet(100)
        second.cancel()
        third.cancel()


@virtual.test()
async def test_when_all_nodes_are_lost_no_pod_is_moved(env):
    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        await w.until(lambda: len(w.pods(app="web")) == 3)
        names = {pod.metadata.name for pod in w.pods(app="web")}
        w.nodes["node-0"].cancel()
        await env.clock.sleep(1000)
        assert taints(w, "node-0") == {("unreachable", "NoSchedule")}
        assert {pod.metadata.name for pod in w.pods(app="web")} == names


@virtual.test()
async def test_nodes_that_come_back_one_after_the_other_keep_their_pods(env):
    """As after an outage of the API server: the end of a full disruption gives each node the time
    until the first token of the rate limiter (10 s) to send a heartbeat."""
    async with harness.world(env) as w:
        await w.node("node-1")
        second = asyncio.ensure_future(w.play("node-1"))
        await w.until(lambda: not taints(w, "node-0") and not taints(w, "node-1"))
        for task in (w.nodes["node-0"], second):
            task.cancel()
        unreachable = {("unreachable", "NoSchedule")}
        await w.until(lambda: taints(w, "node-0") == taints(w, "node-1") == unreachable)
        await env.clock.sleep(60)
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        for node in ("node-0", "node-1"):
            await w.beat(node)
            await w.client.patch(core.Node, node, None, ready, "strategic", "status")
            for _ in range(8):
                assert ("unreachable", "NoExecute") not in taints(w, "node-1")
                await env.clock.sleep(1)
        assert not taints(w, "node-0") and not taints(w, "node-1")


@virtual.test()
async def test_pods_without_a_node_to_end_them_are_collected(env):
    async with harness.world(env, plays="", settings=Settings(terminated_pods=2)) as w:

        def pod(name: str, node: str = "", grace: int = 30) -> core.Pod:
            return core.Pod(
                metadata=meta.ObjectMeta(name=name, namespace="default"),
                spec=core.PodSpec(
                    nodeName=node,
                    terminationGracePeriodSeconds=grace,
                    containers=[core.Container(name="main", image="x")],
                ),
            )

        await w.client.create(pod("lost", "nowhere"))
        for number in range(4):
            await w.client.create(pod(f"done-{number}"))
            done = {"status": {"phase": "Succeeded"}}
            await w.client.patch(core.Pod, f"done-{number}", "default", done, subresource="status")
            await env.clock.sleep(1)
        assert await w.until(lambda: w.find(core.Pod, "lost") is None, 100) >= 35
        await w.until(lambda: [p.metadata.name for p in w.list(core.Pod)] == ["done-2", "done-3"])


def test_zones_and_their_rates():
    settings = NodeLifecycle()
    assert plan_nodes.zone_state([True] * 9 + [False], settings) is ZoneState.NORMAL
    assert plan_nodes.zone_state([True, False, False], settings) is ZoneState.NORMAL
    assert plan_nodes.zone_state([True, False, False, False], settings) is ZoneState.PARTIAL
    assert plan_nodes.zone_state([False], settings) is ZoneState.FULL
    states = {"a": ZoneState.PARTIAL, "b": ZoneState.FULL, "c": ZoneState.NORMAL}
    assert plan_nodes.rates(states, {"a": 50}, settings) == {"a": 0.0, "b": 0.1, "c": 0.1}
    assert plan_nodes.rates(states, {"a": 51}, settings)["a"] == 0.01
    assert plan_nodes.rates({"a": ZoneState.FULL}, {}, settings) == {"a": 0.0}


def test_how_long_taints_are_tolerated():
    gone = core.Taint(key="gone", effect="NoExecute")
    other = core.Taint(key="other", effect="NoExecute")
    wait = core.Toleration(key="gone", operator="Exists", tolerationSeconds=30)
    less = core.Toleration(key="gone", operator="Exists", tolerationSeconds=10)
    ever = core.Toleration(operator="Exists")
    assert taint_eviction.tolerated([wait], [gone]) == 30
    assert taint_eviction.tolerated([wait, less], [gone]) == 10
    assert taint_eviction.tolerated([wait], [gone, other]) == 0
    assert taint_eviction.tolerated([ever], [gone, other]) is None
    assert taint_eviction.tolerated([wait, ever], [gone, other]) == 30
