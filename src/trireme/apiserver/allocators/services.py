"""Cluster IPs and node ports of Services.

In: a Service that is about to be stored, and its old form. Out: its addresses and ports filled in
and taken, or 422. Addresses are taken by IPAddress objects (``addresses``), ports by one object for
all (``ports``). Upstream: pkg/registry/core/service.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from trireme.api.core.v1.service import Service, ServiceSpec
from trireme.api.core.v1.service_resource import needs_health_check_port
from trireme.apiserver.allocators import pools
from trireme.apiserver.allocators.addresses import Addresses, Refused, Writes
from trireme.apiserver.allocators.pools import Pool
from trireme.apiserver.allocators.ports import Ports
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import errors, field
from trireme.machinery.field import FieldError

NONE = "None"
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


class Allocation:
    """What a Service was given that is not stored yet, and what it will have given up then."""

    def __init__(self, addresses: Addresses, ports: Ports) -> None:
        self._addresses = addresses
        self._ports = ports
        self.taken: list[int] = []
        self.dropped: list[int] = []
        self.taken_addresses: list[str] = []
        self.dropped_addresses: list[str] = []

    async def undo(self) -> None:
        """The Service was not stored."""
        await self._give_back(self.taken, self.taken_addresses)

    async def commit(self) -> None:
        """The Service was stored."""
        await self._give_back(self.dropped, self.dropped_addresses)

    async def _give_back(self, ports: Sequence[int], addresses: Sequence[str]) -> None:
        await self._ports.release(ports)
        for text in addresses:
            await self._addresses.give_back(text)


class ServiceAllocator:
    """Gives Services their addresses and ports."""

    def __init__(
        self,
        cidr: str,
        ports: Ports,
        reader: Reader,
        writes: Writes,
        rng: random.Random,
    ) -> None:
        """``cidr`` says the IP family of the cluster."""
        self._family = "IPv6" if ":" in cidr else "IPv4"
        self._reader = reader
        self._rng = rng
        self._addresses = Addresses(self._family, reader, writes, rng)
        # For all protocols together: only one Service has a number.
        self._ports = ports

    def handles(self, endpoint: Endpoint) -> bool:
        return endpoint.resource.type is Service

    async def allocate(self, new: Any, old: Any, dry_run: bool) -> Allocation:
        """Fill in and take what ``new`` needs."""
        given = Allocation(self._addresses, self._ports)
        was = None if old is None else old.spec
        try:
            self._fill_families(new.spec)
            await self._allocate_address(new, was, given, dry_run)
            await self._take_ports(new, was, given, dry_run)
        except BaseException:
            await given.undo()
            raise
        if was is not None:
            given.dropped = sorted(held(was) - held(new.spec))
            if not dry_run:
                has = _addresses(new.spec)
                given.dropped_addresses = [text for text in _addresses(was) if text not in has]
        return given

    def release(self, old: Any) -> None:
        """Nothing is in memory."""

    async def give_back(self, old: Any) -> None:
        """The Service is gone: its addresses and ports are free."""
        await self._ports.release(held(old.spec))
        for text in _addresses(old.spec):
            await self._addresses.give_back(text)

    async def _take_ports(
        self, service: Service, old: ServiceSpec | None, given: Allocation, dry_run: bool
    ) -> None:
        spec = service.spec
        if spec.type not in WITH_NODE_PORTS and not needs_health_check_port(service):
            return
        asked = [port.nodePort for port in spec.ports], spec.healthCheckNodePort

        def change(pool: Pool) -> bool:
            for port, number in zip(spec.ports, asked[0], strict=True):
                port.nodePort = number
            spec.healthCheckNodePort = asked[1]
            taken: list[int] = []
            self._allocate_ports(service, old, taken, pool)
            self._allocate_health_port(service, old, taken, pool)
            given.taken = [] if dry_run else taken
            return bool(given.taken)

        try:
            await self._ports.change(change)
        except BaseException:
            given.taken = []  # none is stored
            raise

    def _fill_families(self, spec: ServiceSpec) -> None:
        if spec.type == "ExternalName":
            return
        spec.ipFamilyPolicy = spec.ipFamilyPolicy or "SingleStack"
        spec.ipFamilies = spec.ipFamilies or [self._family]

    async def _allocate_address(
        self, service: Service, old: ServiceSpec | None, given: Allocation, dry_run: bool
    ) -> None:
        spec = service.spec
        if spec.type == "ExternalName":
            spec.clusterIP, spec.clusterIPs = "", []
            return
        if old is not None and not spec.clusterIP and old.type != "ExternalName":
            spec.clusterIP, spec.clusterIPs = old.clusterIP, list(old.clusterIPs)
        if spec.ipFamilies[0] != self._family or (
            spec.ipFamilyPolicy == "RequireDualStack" and len(spec.ipFamilies) > 1
        ):
            self._refuse_family(service)
        if spec.clusterIP and not spec.clusterIPs:
            spec.clusterIPs = [spec.clusterIP]
        if spec.clusterIP == NONE:
            return
        if old is not None and spec.clusterIP and spec.clusterIP == old.clusterIP:
            return
        if spec.clusterIP:
            await self._take_address(service, dry_run)
        else:
            try:
                spec.clusterIP = await self._addresses.take_next(service, dry_run)
            except pools.Full:
                name = service.metadata.name
                raise errors.internal_error(
                    f'failed to allocate a serviceIP for Service "{name}": range is full'
                ) from None
            spec.clusterIPs = [spec.clusterIP]
        if not dry_run:
            given.taken_addresses.append(spec.clusterIP)

    async def _take_address(self, service: Service, dry_run: bool) -> None:
        text = service.spec.clusterIP
        try:
            await self._addresses.take(text, service, dry_run)
        except Refused as reason:
            detail = f"failed to allocate IP {text}: {reason}"
            at = field.path("spec", "clusterIPs")
            problem = field.invalid(at, service.spec.clusterIPs, detail)
            raise errors.invalid("Service", service.metadata.name, [problem]) from None

    def _refuse_family(self, service: Service) -> None:
        problem = field.invalid(
            field.path("spec", "ipFamilies").index(0),
            service.spec.ipFamilies[0],
            "not configured on this cluster",
        )
        raise errors.invalid("Service", service.metadata.name, [problem])

    def _allocate_ports(
        self, service: Service, old: ServiceSpec | None, taken: list[int], pool: Pool
    ) -> None:
        spec = service.spec
        if spec.type not in WITH_NODE_PORTS:
            return
        if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is False:
            needed = [port for port in spec.ports if port.nodePort]
        else:
            needed = spec.ports
        # A number may serve several protocols of one Service.
        own = set() if old is None else {port.nodePort for port in old.ports if port.nodePort}
        reuse = {} if old is None else {(p.protocol, p.port): p.nodePort for p in old.ports}
        problems: list[FieldError] = []
        same: dict[int, int] = {}
        for position, port in enumerate(needed):
            if not port.nodePort:
                port.nodePort = reuse.get((port.protocol, port.port), 0)
            if not port.nodePort:
                # The same port over TCP and UDP gets the same node port.
                port.nodePort = same.get(port.port, 0)
            if not port.nodePort:
                try:
                    port.nodePort = pool.free(self._rng)
                except pools.Full:
                    raise errors.internal_error(
                        "failed to allocate a nodePort: range is full"
                    ) from None
            same.setdefault(port.port, port.nodePort)
            if port.nodePort in own:
                continue
            detail = self._port_problem(port.nodePort, pool)
            if detail:
                at = field.path("spec", "ports").index(position).child("nodePort")
                problems.append(field.invalid(at, port.nodePort, detail))
                continue
            pool.take(port.nodePort)
            taken.append(port.nodePort)
            own.add(port.nodePort)
        if problems:
            raise errors.invalid("Service", service.metadata.name, problems)

    def _allocate_health_port(
        self, service: Service, old: ServiceSpec | None, taken: list[int], pool: Pool
    ) -> None:
        """Load balancers ask there for the Service's health."""
        spec = service.spec
        if not needs_health_check_port(service):
            return
        if old is not None and spec.healthCheckNodePort == old.healthCheckNodePort != 0:
            return
        if not spec.healthCheckNodePort:
            try:
                spec.healthCheckNodePort = pool.free(self._rng)
            except pools.Full:
                raise errors.internal_error(
                    "failed to allocate a HealthCheck NodePort: range is full"
                ) from None
        number = spec.healthCheckNodePort
        detail = self._port_problem(number, pool)
        if detail:
            text = f"failed to allocate requested HealthCheck NodePort {number}: {detail}"
            problem = field.invalid(field.path("spec", "healthCheckNodePort"), number, text)
            raise errors.invalid("Service", service.metadata.name, [problem])
        pool.take(number)
        taken.append(number)

    def _port_problem(self, number: int, pool: Pool) -> str:
        if number not in pool:
            return (
                "provided port is not in the valid range. The range of valid ports is "
                f"{pool.first}-{pool.last}"
            )
        return "provided port is already allocated" if pool.taken(number) else ""


def _addresses(spec: ServiceSpec) -> list[str]:
    """The cluster IPs that a Service has."""
    if spec.type == "ExternalName":
        return []
    return [text for text in spec.clusterIPs or [spec.clusterIP] if text not in ("", NONE)]


def held(spec: ServiceSpec) -> set[int]:
    """The node ports that a Service has."""
    return {port.nodePort for port in spec.ports if port.nodePort} | (
        {spec.healthCheckNodePort} if spec.healthCheckNodePort else set()
    )
