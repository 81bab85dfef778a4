"""Which routes to make and to delete, and which nodes have theirs. Pure.

Upstream: k8s.io/cloud-provider/controllers/route.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from trireme.api.core.v1.node_types import Node, NodeAddress, NodeCondition
from trireme.cloud.contract import Route
from trireme.machinery import time

UNAVAILABLE = "NetworkUnavailable"


class Needed(NamedTuple):
    """A route that is to be made for a node."""

    node: Node
    route: Route


class RoutePlan(NamedTuple):
    """``delete`` comes first where ``in_turn``: a route that is made anew is among both."""

    delete: list[Route]
    create: list[Needed]
    in_turn: bool


def plan(nodes: Iterable[Node], routes: Sequence[Route], cluster_cidrs: Iterable[str]) -> RoutePlan:
    """Compare the provider's routes with the nodes' pod networks."""
    of_nodes = {node.metadata.name: node for node in nodes if node.spec.podCIDRs}
    kept: set[tuple[str, str]] = set()
    for route in routes:
        node = of_nodes.get(route.target_node)
        if node is not None and route.destination_cidr in node.spec.podCIDRs:
            moved = route.enable_node_addresses and not _alike(
                route.addresses, node.status.addresses
            )
            if not moved:
                kept.add((route.target_node, route.destination_cidr))
    networks = [ipaddress.ip_network(text, strict=False) for text in cluster_cidrs]
    delete = [
        route
        for route in routes
        if _is_ours(route, networks)
        and (route.blackhole or (route.target_node, route.destination_cidr) not in kept)
    ]
    create = [
        Needed(
            node,
            Route(destination_cidr=cidr, target_node=name, addresses=tuple(node.status.addresses)),
        )
        for name, node in sorted(of_nodes.items())
        for cidr in node.spec.podCIDRs
        if (name, cidr) not in kept
    ]
    return RoutePlan(delete, create, bool(routes) and routes[0].enable_node_addresses)


def _alike(one: Sequence[NodeAddress], other: Sequence[NodeAddress]) -> bool:
    return sorted((item.type, item.address) for item in one) == sorted(
        (item.type, item.address) for item in other
    )


def _is_ours(
    route: Route, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    """Whether it leads into the cluster's networks; others are somebody else's."""
    try:
        target = ipaddress.ip_network(route.destination_cidr, strict=False)
    except ValueError:
        return False
    return any(
        target.version == network.version and (target[0] in network or target[-1] in network)
        for network in networks
    )


def condition(node: Node, created: bool, now: float) -> NodeCondition | None:
    """The node's condition NetworkUnavailable; None when it has it already."""
    found = next((item for item in node.status.conditions if item.type == UNAVAILABLE), None)
    status, reason = ("False", "RouteCreated") if created else ("True", "NoRouteCreated")
    if found is not None and (found.status, found.reason) == (status, reason):
        return None
    stamp = time.format(now)
    message = "RouteController created a route"
    if not created:
        message = "RouteController failed to create a route"
    return NodeCondition(
        type=UNAVAILABLE,
        status=status,
        reason=reason,
        message=message,
        lastHeartbeatTime=stamp,
        lastTransitionTime=stamp,
    )


def condition_change(condition: NodeCondition) -> dict[str, object]:
    """A strategic merge patch of the Node's status."""
    return {"status": {"conditions": [msgspec.to_builtins(condition)]}}
