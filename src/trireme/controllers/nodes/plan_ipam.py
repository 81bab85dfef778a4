"""The parts of a cluster's pod network that nodes get. Pure.

In: the networks, how large a part is, what is taken. Out: the next free part. Called by ``ipam``.
Upstream: pkg/controller/nodeipam/ipam/cidrset.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, TypeAlias

from trireme.controllers.settings import NodeIPAM

Network: TypeAlias = IPv4Network | IPv6Network

SIZES: Final = {4: 24, 6: 64}
# So many bits may number the parts of an IPv6 network.
_MOST_BITS: Final = 16


class Full(Exception):
    """No part is free; the text is upstream's."""

    def __init__(self) -> None:
        super().__init__(
            "CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted"
            " range"
        )


class CIDRSet:
    """The parts of one network, each with ``size`` bits of prefix. ValueError where it cannot be
    divided so."""

    def __init__(self, network: Network, size: int) -> None:
        bits = size - network.prefixlen
        if bits < 0 or size > network.max_prefixlen:
            raise ValueError(
                f"{network}: mask size of cluster CIDR must be less than or equal to"
                f" --node-cidr-mask-size, which is {size}"
            )
        if network.version == 6 and bits > _MOST_BITS:
            raise ValueError(f"{network}: the node CIDR size {size} is too big")
        self._network = network
        self._size = size
        self._count = 1 << bits
        self._used: set[int] = set()
        self._next = 0

    def allocate(self) -> Network:
        """Take the next free part; what was given back comes last. ``Full``."""
        if len(self._used) == self._count:
            raise Full
        while self._next in self._used:
            self._next = (self._next + 1) % self._count
        taken = self._next
        self._used.add(taken)
        self._next = (taken + 1) % self._count
        width = self._network.max_prefixlen - self._size
        return ip_network((int(self._network.network_address) + (taken << width), self._size))

    @property
    def network(self) -> Network:
        """The whole."""
        return self._network

    @property
    def count(self) -> int:
        """How many parts there are."""
        return self._count

    @property
    def used(self) -> int:
        """How many are taken."""
        return len(self._used)

    def occupy(self, network: Network) -> None:
        """Take all parts that the network overlaps. ValueError where there are none."""
        self._used.update(self._parts(network))

    def release(self, network: Network) -> None:
        """Give these parts back. ValueError where there are none."""
        self._used.difference_update(self._parts(network))

    def _parts(self, network: Network) -> range:
        own = self._network
        if network.version != own.version or not network.overlaps(own):
            raise ValueError(f"cidr {network} is out the range of cluster cidr {own}")
        if network.prefixlen <= own.prefixlen:
            return range(self._count)
        width = own.max_prefixlen - self._size
        start = int(own.network_address)
        first = (int(network.network_address) - start) >> width
        return range(first, ((int(network.broadcast_address) - start) >> width) + 1)


def make_sets(settings: NodeIPAM) -> list[CIDRSet]:
    """One for each of the cluster's pod networks; none gives out addresses of Services.
    ValueError."""
    networks = [ip_network(text) for text in settings.cluster_cidrs]
    if len(networks) != len({network.version for network in networks}):
        listed = ", ".join(settings.cluster_cidrs)
        raise ValueError(f"{listed}: one cluster CIDR of each IP family at most")
    sizes = _sizes(settings, {network.version for network in networks})
    sets = [CIDRSet(network, sizes[network.version]) for network in networks]
    for text in settings.service_cidrs:
        service = ip_network(text)
        for network, made in zip(networks, sets, strict=True):
            if network.version == service.version and network.overlaps(service):
                made.occupy(service)
    return sets


def _sizes(settings: NodeIPAM, families: set[int]) -> dict[int, int]:
    """The prefix of a node's part, for each IP family. ValueError."""
    own = {4: settings.mask_size_ipv4, 6: settings.mask_size_ipv6}
    if settings.mask_size:
        if len(families) > 1:
            raise ValueError(
                "usage of --node-cidr-mask-size is not allowed with dual-stack clusters"
            )
        if any(own.values()):
            raise ValueError(
                "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed"
                " if --node-cidr-mask-size is set"
            )
        return dict.fromkeys(families, settings.mask_size)
    for family, size in own.items():
        if size and family not in families:
            other = next(iter(families))
            raise ValueError(
                f"usage of --node-cidr-mask-size-ipv{family} is not allowed for a single-stack"
                f" IPv{other} cluster"
            )
    return {family: own[family] or SIZES[family] for family in families}
