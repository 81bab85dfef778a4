"""Addresses of Services: out of the ServiceCIDRs that are ready, each taken by an IPAddress.

In: a Service, and an address that it wants or none. Out: the IPAddress is stored, so that no other
API server gives out the address as well. Called by ``services``. Upstream:
pkg/registry/core/service/ipallocator; KEP-1880.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from typing import Protocol

from trireme.api.core.v1.service import Service
from trireme.api.networking.v1.ipaddress import IPAddress
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.apiserver.allocators import pools
from trireme.apiserver.cache.reader import Reader
from trireme.domain import service_cidrs
from trireme.domain.service_cidrs import Address, Network
from trireme.machinery import errors

# Upstream makes no allocator for wider networks of IPv6.
_WIDEST_IPV6 = 64


class Refused(Exception):
    """A Service cannot have the requested address; the text is the detail."""


class Writes(Protocol):
    """How IPAddresses come and go."""

    async def create(self, obj: IPAddress) -> None:
        """Store it. ApiError AlreadyExists."""

    async def delete(self, name: str) -> None:
        """Delete it, where it is there."""


class Addresses:
    """The addresses of one IP family, whose name is ``family``."""

    def __init__(self, family: str, reader: Reader, writes: Writes, rng: random.Random) -> None:
        self._family = family
        self._reader = reader
        self._writes = writes
        self._rng = rng

    async def take(self, text: str, service: Service, dry_run: bool) -> None:
        """Take one address. ``Refused``."""
        address = ipaddress.ip_address(text)
        if not any(service_cidrs.has(network, address) for network in self._usable()):
            raise Refused("the provided network does not match the current range")
        if dry_run:
            return
        if not await self._create(address, service):
            raise Refused("provided IP is already allocated")

    async def take_next(self, service: Service, dry_run: bool) -> str:
        """Take a free address. ``pools.Full``. A dry run gets an address that nobody has."""
        for network in self._usable():
            if dry_run:
                return str(network.network_address)
            for number in pools.addresses(network).numbers(self._rng):
                address = network[number]
                if self._reader.get(IPAddress, "", str(address)) is not None:
                    continue
                if await self._create(address, service):
                    return str(address)
        raise pools.Full

    async def give_back(self, text: str) -> None:
        """The Service does not have the address any more."""
        await self._writes.delete(str(ipaddress.ip_address(text)))

    async def _create(self, address: Address, service: Service) -> bool:
        """Whether the address was free; it is taken then."""
        meta = service.metadata
        try:
            await self._writes.create(service_cidrs.ip_address(address, meta.namespace, meta.name))
        except errors.ApiError as error:
            if errors.is_already_exists(error):
                return False
            raise
        return True

    def _usable(self) -> Iterator[Network]:
        for cidr in self._reader.list(ServiceCIDR):
            if service_cidrs.is_usable(cidr):
                for network in service_cidrs.networks(cidr):
                    too_wide = network.version == 6 and network.prefixlen < _WIDEST_IPV6
                    if service_cidrs.family(network.version) == self._family and not too_wide:
                        yield network
