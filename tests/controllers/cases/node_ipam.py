"""Nodes get pod networks, no two the same."""

from __future__ import annotations

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.controllers.settings import NodeIPAM, Settings


def networks(w: World) -> list[str]:
    return [text for node in w.list(core.Node) for text in node.spec.podCIDRs]


def no_two_are_the_same(w: World) -> None:
    assert len(networks(w)) == len(set(networks(w)))


async def create(w: World) -> None:
    for number in range(3):
        await w.add_node(f"more-{number}")


async def replace(w: World) -> None:
    await w.client.delete(core.Node, "more-1")
    for number in range(3, 5):
        await w.add_node(f"more-{number}")


CASE = Case(
    name="node-ipam",
    controller="node-ipam-controller",
    steps=(
        Step(act=create, done=lambda w: len(networks(w)) == 4),
        Step(act=replace, done=lambda w: len(networks(w)) == 5),
    ),
    holds=no_two_are_the_same,
    options={
        "settings": Settings(root_ca="PEM", node_ipam=NodeIPAM(cluster_cidrs=("10.0.0.0/16",)))
    },
)
