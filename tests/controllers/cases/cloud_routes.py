"""Routes to pod networks: one for each node that has one, and the node says that it is there."""

from __future__ import annotations

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core.v1.node_types import Node
from trireme.cloud.contract import Route
from trireme.cloud.routes import plan_routes
from trireme.cloud.settings import Settings
from trireme.testing.memory_cloud import MemoryCloud


def cloud() -> MemoryCloud:
    made = MemoryCloud()
    stale = Route(name="stale", destination_cidr="10.0.9.0/24", target_node="gone")
    foreign = Route(name="foreign", destination_cidr="172.16.0.0/24", target_node="gone")
    made.present_routes = {route.name: route for route in (stale, foreign)}
    return made


async def add(w: World) -> None:
    for number, name in enumerate(("a", "b")):
        await w.node(name)
        cidr = f"10.0.{number}.0/24"
        change = {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}
        await w.client.patch(Node, name, None, change, "strategic")


def routed(w: World) -> dict[str, str]:
    routes = w.cloud.present_routes.values()
    return {one.target_node: one.destination_cidr for one in routes if one.name != "foreign"}


def is_routed(w: World) -> bool:
    return routed(w) == {"a": "10.0.0.0/24", "b": "10.0.1.0/24"} and all(
        any(
            (one.type, one.status) == (plan_routes.UNAVAILABLE, "False")
            for one in w.get(Node, name, "").status.conditions
        )
        for name in ("a", "b")
    )


async def remove(w: World) -> None:
    await w.client.delete(Node, "b")


def holds(w: World) -> None:
    """What leads elsewhere is somebody else's."""
    assert "foreign" in w.cloud.present_routes


CASE = Case(
    name="cloud-routes",
    controller="node-route-controller",
    steps=(
        Step(act=add, done=is_routed),
        Step(act=remove, done=lambda w: set(routed(w)) == {"a"}),
    ),
    holds=holds,
    options={
        "cloud": cloud,
        "cloud_settings": Settings(cluster_cidrs=("10.0.0.0/16",)),
        "controllers": ("node-route-controller",),
    },
)
