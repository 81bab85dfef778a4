"""Nodes whose machine is gone: they are deleted; those that are switched off have a taint."""

from __future__ import annotations

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core.v1.node_types import Node
from trireme.cloud import taints
from trireme.testing.memory_cloud import MemoryCloud


def cloud() -> MemoryCloud:
    made = MemoryCloud()
    for name in ("node-0", "off", "gone"):
        made.add_machine(name)
    return made


async def report(w: World, name: str, status: str) -> None:
    change = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
    await w.client.patch(Node, name, None, change, "strategic", "status")


async def lose(w: World) -> None:
    for name in ("off", "gone"):
        await w.node(name)
        await report(w, name, "Unknown")
    w.cloud.machines["off"].running = False
    del w.cloud.machines["gone"]


def is_off(w: World) -> bool:
    return any(one.key == taints.SHUTDOWN for one in w.get(Node, "off", "").spec.taints)


async def start(w: World) -> None:
    w.cloud.machines["off"].running = True
    await report(w, "off", "True")


def holds(w: World) -> None:
    """No node goes whose machine is there."""
    assert w.find(Node, "node-0", "") is not None


CASE = Case(
    name="cloud-node-lifecycle",
    controller="cloud-node-lifecycle-controller",
    steps=(
        Step(act=lose, done=lambda w: is_off(w) and w.find(Node, "gone", "") is None),
        Step(act=start, done=lambda w: not is_off(w)),
    ),
    holds=holds,
    options={"cloud": cloud, "controllers": ("cloud-node-lifecycle-controller",)},
)
