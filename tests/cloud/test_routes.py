"""Routes to the pod networks of nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.cloud.contract import Route
from trireme.cloud.routes import plan_routes
from trireme.cloud.settings import Settings
from trireme.controllers.settings import NodeIPAM
from trireme.controllers.settings import Settings as ControllerSettings
from trireme.machinery.meta import ObjectMeta
from trireme.testing import virtual
from trireme.testing.memory_cloud import MemoryCloud

CLUSTER = ("10.0.0.0/16", "fd00::/48")


def node(name: str, *cidrs: str, address: str = "192.0.2.1") -> core.Node:
    return core.Node(
        metadata=ObjectMeta(name=name),
        spec=core.NodeSpec(podCIDR=(*cidrs, "")[0], podCIDRs=list(cidrs)),
        status=core.NodeStatus(addresses=[core.NodeAddress(type="InternalIP", address=address)]),
    )


def route(target: str, cidr: str, **fields: Any) -> Route:
    return Route(destination_cidr=cidr, target_node=target, **fields)


@pytest.mark.parametrize(
    ("nodes", "routes", "deleted", "created"),
    [
        ([node("a", "10.0.0.0/24")], [], [], ["10.0.0.0/24"]),
        ([node("a", "10.0.0.0/24")], [route("a", "10.0.0.0/24")], [], []),
        ([node("a")], [route("a", "10.0.0.0/24")], ["10.0.0.0/24"], []),
        ([], [route("a", "10.0.0.0/24"), route("b", "172.16.0.0/24")], ["10.0.0.0/24"], []),
        ([], [route("a", "8.0.0.0/8")], [], []),
        ([], [route("a", "nonsense")], [], []),
        ([node("a", "10.0.0.0/24")], [route("b", "10.0.0.0/24")], ["10.0.0.0/24"], ["10.0.0.0/24"]),
        (
            [node("a", "10.0.0.0/24", "fd00::/64")],
            [route("a", "10.0.0.0/24")],
            [],
            ["fd00::/64"],
        ),
        (
            [node("a", "10.0.0.0/24")],
            [route("a", "10.0.0.0/24", enable_node_addresses=True)],
            ["10.0.0.0/24"],
            ["10.0.0.0/24"],
        ),
        (
            [node("a", "10.0.0.0/24")],
            [route("a", "10.0.0.0/24", blackhole=True)],
            ["10.0.0.0/24"],
            [],
        ),
    ],
)
def test_plan(nodes, routes, deleted, created):
    found = plan_routes.plan(nodes, routes, CLUSTER)
    assert [one.destination_cidr for one in found.delete] == deleted
    assert [one.route.destination_cidr for one in found.create] == created


def condition(w: harness.World, name: str) -> tuple[str, str] | None:
    found = w.get(core.Node, name, "").status.conditions
    return next(
        ((one.status, one.reason) for one in found if one.type == plan_routes.UNAVAILABLE), None
    )


@virtual.test()
async def test_routes_follow_the_nodes(env):
    async with harness.world(
        env,
        plays="",
        cloud=MemoryCloud,
        cloud_settings=Settings(cluster_cidrs=("10.0.0.0/16",)),
        controllers=("node-route-controller", "node-ipam-controller"),
        settings=ControllerSettings(node_ipam=NodeIPAM(cluster_cidrs=("10.0.0.0/16",))),
    ) as w:
        w.cloud.present_routes["old"] = route("gone", "10.0.9.0/24", name="old")

        def fail(call: str, about: str) -> None:
            if call == "create_route":
                raise OSError("quota exceeded")

        w.cloud.failures = fail
        await w.node("a")
        await w.until(lambda: condition(w, "a") == ("True", "NoRouteCreated"), 15.0)
        await w.until(lambda: "FailedToCreateRoute" in w.reasons("a"))
        assert any("quota exceeded" in text for text in w.messages("a"))
        w.cloud.failures = lambda call, about: None
        await w.until(lambda: condition(w, "a") == ("False", "RouteCreated"), 15.0)
        assert "old" not in w.cloud.present_routes
        (made,) = w.cloud.present_routes.values()
        assert (made.target_node, made.destination_cidr) == ("a", "10.0.0.0/24")
        quiet = await w.quiet(30.0)
        assert not quiet
        await w.client.delete(core.Node, "a")
        await w.until(lambda: not w.cloud.present_routes, 15.0)
