"""Addresses of load balancers, and the nodes that take their traffic. Pure.

The pool is the end of the network between host and nodes, which no node ever gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network

import msgspec

from trireme.api.core.v1.service import Service
from trireme.cloud.contract import ProviderFailure
from trireme.cluster.hosts import names

# The proxy's own health, of a Service with the traffic policy Cluster.
PROXY_HEALTH = 10256


class NoAddress(ProviderFailure):
    """The pool has no such address, or none that is free."""


class Balancer(msgspec.Struct, frozen=True):
    """A Service's load balancer. ``nodes``: the addresses that traffic may go to, by name.
    ``health_port``: where they say whether they take it."""

    service: str
    address: str
    health_port: int
    nodes: dict[str, str]


def pool(underlay: str) -> list[str]:
    """The addresses that load balancers may have."""
    network = IPv4Network(underlay)
    return [str(network[place]) for place in range(names.MAX_NODES + 2, network.num_addresses - 1)]


def desired(
    service: Service,
    nodes: Mapping[str, str],
    present: Mapping[str, Balancer],
    addresses: Sequence[str],
) -> Balancer:
    """The Service's load balancer, which keeps its address. ``present`` are all, by the uid of
    their Service. NoAddress."""
    spec, metadata = service.spec, service.metadata
    others = {one.address for uid, one in present.items() if uid != metadata.uid}
    own = present.get(metadata.uid)
    return Balancer(
        service=f"{metadata.namespace}/{metadata.name}",
        address=_address(service, own.address if own is not None else "", others, addresses),
        health_port=spec.healthCheckNodePort or PROXY_HEALTH,
        nodes=dict(nodes),
    )


def _address(service: Service, own: str, taken: set[str], addresses: Sequence[str]) -> str:
    requested = service.spec.loadBalancerIP
    if requested:
        if requested not in addresses:
            raise NoAddress(
                f"loadBalancerIP {requested} is not one of {addresses[0]} to {addresses[-1]}"
            )
        if requested in taken:
            raise NoAddress(f"loadBalancerIP {requested} is another Service's")
        return requested
    # What the status says is from before a loss of our own record.
    stated = [item.ip for item in service.status.loadBalancer.ingress]
    for candidate in (own, *stated, *addresses):
        if candidate in addresses and candidate not in taken:
            return candidate
    raise NoAddress(f"all {len(addresses)} addresses of load balancers are in use")


def hops(balancer: Balancer, healthy: Mapping[tuple[str, int], bool]) -> list[str]:
    """The nodes' addresses that traffic goes to: those that are healthy, or not asked yet."""
    return sorted(
        address
        for address in balancer.nodes.values()
        if healthy.get((address, balancer.health_port), True)
    )
