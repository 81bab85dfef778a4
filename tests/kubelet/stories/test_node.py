"""The node: registration, admission, its conditions, and an API server that is away."""

from __future__ import annotations

import asyncio
import random

from tests.kubelet.harness import Node, container, play, pod

from trireme.api.coordination import v1 as coordination
from trireme.api.core import v1 as core

GATE = core.PodReadinessGate(conditionType="example.com/gate")


def test_the_node_registers_and_renews_its_lease() -> None:
    async def story(node: Node) -> None:
        registered = node.api.find(core.Node, "node-0")
        assert registered.metadata.labels["kubernetes.io/hostname"] == "node-0"
        assert {c.type: c.status for c in registered.status.conditions} == {
            "MemoryPressure": "False",
            "DiskPressure": "False",
            "PIDPressure": "False",
            "Ready": "True",
        }
        assert registered.status.capacity["cpu"] == "4"
        assert registered.status.allocatable["memory"] == "8092Mi"
        assert registered.status.nodeInfo.kubeProxyVersion == ""
        await node.env.clock.sleep(1)
        first = (await node.api.client.get(coordination.Lease, "node-0", "kube-node-lease")).spec
        await node.env.clock.sleep(30)
        later = (await node.api.client.get(coordination.Lease, "node-0", "kube-node-lease")).spec
        assert (later.renewTime or "") > (first.renewTime or "")
        assert "NodeReady" in node.api.reasons("node-0")

    play(story)


def test_a_node_says_which_features_it_has() -> None:
    async def story(node: Node) -> None:
        declared = node.api.find(core.Node, "node-0").status.declaredFeatures
        assert declared == sorted(declared)
        assert "InPlacePodLevelResourcesVerticalScaling" in declared

    play(story)


def test_admission_refuses_what_does_not_fit() -> None:
    async def story(node: Node) -> None:
        big = container("main", resources=core.ResourceRequirements(requests={"cpu": "3"}))
        await node.api.put(pod("one", big))
        await node.until(lambda: node.phase("one") == "Running", 5)
        await node.api.put(pod("two", big))
        await node.until(lambda: node.phase("two") == "Failed", 5)
        status = node.api.pod("two").status
        assert status.reason == "OutOfcpu"
        # As `kubectl get` shows it, and no container status beside it.
        assert status.containerStatuses == [] and status.conditions == []
        assert status.message == (
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 3000, "
            "used: 3000, capacity: 4000"
        )

    play(story)


def test_conditions_that_others_write_meanwhile_stay() -> None:
    """Readiness gates and disruptions are written beside the kubelet's own, at any moment."""

    async def story(node: Node) -> None:
        random_ = random.Random(7)
        names = [f"p{number}" for number in range(8)]
        for name in names:
            await node.api.put(pod(name, readinessGates=[GATE]))

        async def write(name: str) -> None:
            await node.env.clock.sleep(random_.random() * 2)
            for kind, reason in (("example.com/gate", ""), ("DisruptionTarget", "Preemption")):
                written = {"type": kind, "status": "True", "reason": reason}
                change = {"status": {"conditions": [written]}}
                await node.api.client.patch(
                    core.Pod, name, "default", change, kind="strategic", subresource="status"
                )
                await node.env.clock.sleep(random_.random() * 0.1)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(write(name))
        for name in names:
            await node.until(lambda name=name: node.condition(name, "Ready") == "True", 10)
            assert node.condition(name, "example.com/gate") == "True"
            assert node.condition(name, "DisruptionTarget") == "True"

    play(story)


def test_a_pod_for_a_label_that_its_node_has_just_got_is_taken() -> None:
    """What the kubelet knows of its node is seconds old when the pod comes."""

    async def story(node: Node) -> None:
        await node.env.clock.sleep(20)
        for value in ("a", "b"):
            labels = {"metadata": {"labels": {"zone": value}}}
            await node.api.client.patch(core.Node, "node-0", None, labels)
            await node.api.put(pod(f"in-{value}", nodeSelector={"zone": value}))
            await node.until(lambda v=value: node.phase(f"in-{v}") == "Running", 5)
        await node.api.put(pod("elsewhere", nodeSelector={"zone": "c"}))
        await node.until(lambda: node.phase("elsewhere") == "Failed", 5)
        status = node.api.pod("elsewhere").status
        assert (status.reason, status.containerStatuses) == ("NodeAffinity", [])
        assert status.message == (
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node "
            "affinity/selector"
        )
        assert node.api.reasons("elsewhere") == ["NodeAffinity"]
        await node.api.delete_pod("elsewhere")
        await node.until(lambda: not node.api.has_pod("elsewhere"), 35)

    play(story)


def test_an_unready_network_holds_pods_and_the_node() -> None:
    async def story(node: Node) -> None:
        node.cri.network_ready = False
        await node.until(lambda: node.kubelet.node.network_problem(), 10)
        await node.api.put(pod("web"))
        await node.api.put(pod("host", hostNetwork=True))
        await node.until(lambda: node.phase("host") == "Running", 5)
        assert node.phase("web") == "Pending"
        assert "NetworkNotReady" in node.api.reasons("web")
        await node.until(lambda: _node_ready(node) == "False", 30)
        node.cri.network_ready = True
        await node.until(lambda: node.phase("web") == "Running", 20)
        await node.until(lambda: _node_ready(node) == "True", 30)

    play(story)


def test_the_api_may_be_away() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.phase("web") == "Running", 5)
        node.api.node_wire.broken = True
        node.cri.crash("web", "main")
        await node.env.clock.sleep(60)
        assert node.cri.running("web", "main")
        node.api.node_wire.broken = False
        await node.until(lambda: node.container("web").restartCount == 1, 20)

    play(story)


def test_idle_pods_cost_no_writes() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.condition("web", "Ready") == "True", 5)
        await node.env.clock.sleep(5)
        before = len([path for _, path in node.api.node_wire.writes if "/pods/" in path])
        await node.env.clock.sleep(3600)
        writes = [path for _, path in node.api.node_wire.writes if "/pods/" in path]
        assert len(writes) == before

    play(story)


def _node_ready(node: Node) -> str:
    return next(
        c.status for c in node.api.find(core.Node, "node-0").status.conditions if c.type == "Ready"
    )
