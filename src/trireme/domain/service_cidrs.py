"""ServiceCIDRs and the IPAddresses that Services have of them: which network has which address.

Pure. Used by the API server's allocator of Services and by the service-cidr controller. Upstream:
pkg/api/servicecidr, pkg/registry/core/service/ipallocator; KEP-1880.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

from trireme.api.networking.v1.ipaddress import IPAddress, IPAddressSpec, ParentReference
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.machinery.meta import ObjectMeta

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

FAMILY: Final = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY: Final = "ipaddress.kubernetes.io/managed-by"
ALLOCATOR: Final = "ipallocator.k8s.io"
READY: Final = "Ready"


def networks(cidr: ServiceCIDR) -> list[Network]:
    """The networks of a ServiceCIDR."""
    return [ip_network(text, strict=False) for text in cidr.spec.cidrs]


def has(network: Network, address: Address) -> bool:
    """Whether a Service may have the address out of the network: not the network's own, nor the
    broadcast address of IPv4."""
    if address not in network or address == network.network_address:
        return False
    return network.version == 6 or address != network.broadcast_address


def is_usable(cidr: ServiceCIDR) -> bool:
    """Whether new addresses may come from it: it is not being deleted, and nobody has said that it
    is not ready."""
    if cidr.metadata.deletionTimestamp is not None:
        return False
    ready = [item.status for item in cidr.status.conditions if item.type == READY]
    return not ready or ready[0] == "True"


def family(version: int) -> str:
    """The name of an IP version: IPv4 or IPv6."""
    return f"IPv{version}"


def is_managed(address: IPAddress) -> bool:
    """Whether the API server's allocator made it, for a Service."""
    return address.metadata.labels.get(MANAGED_BY) == ALLOCATOR


def ip_address(address: Address, namespace: str, service: str) -> IPAddress:
    """The object that says that a Service has the address."""
    labels = {FAMILY: family(address.version), MANAGED_BY: ALLOCATOR}
    parent = ParentReference(resource="services", namespace=namespace, name=service)
    return IPAddress(
        metadata=ObjectMeta(name=str(address), labels=labels), spec=IPAddressSpec(parentRef=parent)
    )
