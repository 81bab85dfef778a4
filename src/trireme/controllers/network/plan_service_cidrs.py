"""Whether a ServiceCIDR that is being deleted may go. Pure.

In: all ServiceCIDRs and IPAddresses. Out: names, and yes or no. Called by ``servicecidrs``.
Upstream: pkg/controller/servicecidrs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from trireme.api.networking.v1.ipaddress import IPAddress
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.domain import service_cidrs


def can_delete(
    cidr: ServiceCIDR, cidrs: Iterable[ServiceCIDR], addresses: Iterable[IPAddress]
) -> bool:
    """Whether all addresses of Services that it has are of other ServiceCIDRs, too."""
    others = [
        network
        for other in cidrs
        if other.metadata.name != cidr.metadata.name
        for network in service_cidrs.networks(other)
    ]
    own = service_cidrs.networks(cidr)
    if all(any(_within(network, other) for other in others) for network in own):
        return True
    for obj in addresses:
        if not service_cidrs.is_managed(obj):
            continue
        address = ipaddress.ip_address(obj.metadata.name)
        if any(service_cidrs.has(network, address) for network in own) and not any(
            service_cidrs.has(network, address) for network in others
        ):
            return False
    return True


def _within(network: service_cidrs.Network, other: service_cidrs.Network) -> bool:
    # The two are of one type, which the version says to us alone.
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]


def overlapping(cidr: ServiceCIDR, cidrs: Iterable[ServiceCIDR]) -> list[str]:
    """The names of the ServiceCIDRs that share addresses with it."""
    own = service_cidrs.networks(cidr)
    return [
        other.metadata.name
        for other in cidrs
        if any(
            network.overlaps(its)
            for network in own
            for its in service_cidrs.networks(other)
            if its.version == network.version
        )
    ]


def containing(obj: IPAddress, cidrs: Iterable[ServiceCIDR]) -> list[str]:
    """The names of the ServiceCIDRs that an address of a Service is of."""
    if not service_cidrs.is_managed(obj):
        return []
    address = ipaddress.ip_address(obj.metadata.name)
    return [
        cidr.metadata.name
        for cidr in cidrs
        if any(service_cidrs.has(network, address) for network in service_cidrs.networks(cidr))
    ]
