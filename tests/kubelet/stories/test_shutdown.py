"""Critical pods make room for themselves; a node that shuts down ends its pods in order."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from tests.kubelet.harness import Node, container, play, pod

from trireme.api.core import v1 as core
from trireme.kubelet import component
from trireme.testing.fake_cri import Behaviour

CRITICAL = "system-node-critical"


def cpu(many: str) -> core.Container:
    return container("main", resources=core.ResourceRequirements(requests={"cpu": many}))


def test_a_critical_pod_preempts() -> None:
    async def story(node: Node) -> None:
        for name, many in (("small", "1"), ("large", "2500m")):
            await node.api.put(pod(name, cpu(many)))
            await node.until(lambda name=name: node.phase(name) == "Running", 5)
        await node.api.put(pod("critical", cpu("1"), priorityClassName=CRITICAL))
        await node.until(lambda: node.phase("critical") == "Running", 5)
        await node.until(lambda: node.phase("small") == "Failed", 40)
        status = node.api.pod("small").status
        assert (status.reason, status.message) == (
            "Preempting",
            "Preempted in order to admit critical pod",
        )
        (target,) = [c for c in status.conditions if c.type == "DisruptionTarget"]
        assert target.message == "Pod was preempted by Kubelet to accommodate a critical pod."
        assert "Preempting" in node.api.reasons("small")
        assert node.phase("large") == "Running"

    play(story)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        # More than the whole node; no room at any price; another reason than resources.
        ({"cpu": "5"}, "UnexpectedAdmissionError"),
        ({"cpu": "2", "nodeSelector": {"a": "b"}}, "NodeAffinity"),
    ],
)
def test_a_critical_pod_that_cannot_run_preempts_nobody(spec: dict, reason: str) -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("small", cpu("3")))
        await node.until(lambda: node.phase("small") == "Running", 5)
        many = spec.pop("cpu")
        await node.api.put(pod("critical", cpu(many), priorityClassName=CRITICAL, **spec))
        await node.until(lambda: node.phase("critical") == "Failed", 5)
        assert node.api.pod("critical").status.reason == reason
        await node.env.clock.sleep(10)
        assert node.phase("small") == "Running"

    play(story)


def test_a_shutdown_ends_pods_by_priority_and_admits_none() -> None:
    async def story(node: Node) -> None:
        await node.stop()
        started = asyncio.Event()
        env = dataclasses.replace(node.env, started=started.set)
        running = asyncio.create_task(component.run(node.config, env, node.parts()))
        node._task = running
        await started.wait()
        for name in ("slow", "quick", "critical"):
            node.cri.set_behaviour(
                name, "main", Behaviour(stop_seconds=100 if name == "slow" else 1)
            )
        await node.api.put(pod("slow"))
        await node.api.put(pod("quick"))
        await node.api.put(pod("critical", priorityClassName=CRITICAL))
        names = ("slow", "quick", "critical")
        await node.until(lambda: all(node.phase(name) == "Running" for name in names), 10)
        began = node.env.clock.monotonic()
        running.cancel()
        await node.env.clock.sleep(5)
        assert node.phase("quick") == "Failed" and node.phase("critical") == "Running"
        ready = [
            c for c in node.api.find(core.Node, "node-0").status.conditions if c.type == "Ready"
        ]
        assert (ready[0].status, ready[0].message) == ("False", "node is shutting down")
        await node.api.put(pod("late"))
        await node.until(lambda: node.phase("late") == "Failed", 5)
        assert node.api.pod("late").status.reason == "NodeShutdown"
        await asyncio.wait({running})
        assert 20 <= node.env.clock.monotonic() - began <= 26  # the slow one was killed at 20
        for name in names:
            status = node.api.pod(name).status
            assert (status.phase, status.reason) == ("Failed", "Terminated"), name
            assert status.message == ("Pod was terminated in response to imminent node shutdown.")

    play(story, shutdown=((0, 20), (2_000_000_000, 10)))
