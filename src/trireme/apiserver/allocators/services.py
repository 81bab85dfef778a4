"""Cluster IPs and node ports of Services.

In: a Service that is about to be stored, and its old form. Out: its addresses and ports filled in
and marked as taken, or 422. What is taken is read from the stored Services at the first write and
kept in memory. Upstream: pkg/registry/core/service.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from typing import Any

from trireme.api.core.v1.service import Service, ServiceSpec
from trireme.apiserver.allocators import pools
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import errors, field
from trireme.machinery.field import FieldError

NONE = "None"
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


class ServiceAllocator:
    """Gives Services their addresses and ports."""

    def __init__(
        self, cidr: str, node_ports: tuple[int, int], reader: Reader, rng: random.Random
    ) -> None:
        self._cidr = cidr
        self._family = "IPv6" if ":" in cidr else "IPv4"
        self._reader = reader
        self._rng = rng
        self._addresses = pools.addresses(cidr)
        self._ports = {protocol: pools.ports(*node_ports) for protocol in ("TCP", "UDP", "SCTP")}
        self._port_range = node_ports
        self._loaded = False

    def handles(self, endpoint: Endpoint) -> bool:
        return endpoint.resource.type is Service

    def allocate(self, new: Any, old: Any, dry_run: bool) -> Callable[[], None]:
        """Fill in and take what ``new`` needs; the result gives it back."""
        self._load()
        taken: list[tuple[pools.Pool, int]] = []
        dropped: list[tuple[pools.Pool, int]] = []

        def undo() -> None:
            for pool, number in taken:
                pool.release(number)
            for pool, number in dropped:
                pool.take(number)

        try:
            self._fill_families(new.spec)
            self._allocate_address(new, None if old is None else old.spec, taken)
            self._allocate_ports(new, None if old is None else old.spec, taken)
        except errors.ApiError:
            undo()
            raise
        if old is not None:
            kept = set(self._held(new.spec))
            for pool, number in self._held(old.spec):
                if (pool, number) not in kept:
                    pool.release(number)
                    dropped.append((pool, number))
        return undo

    def release(self, old: Any) -> None:
        """The Service is gone."""
        for pool, number in self._held(old.spec):
            pool.release(number)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for service in self._reader.list(Service):
            for pool, number in self._held(service.spec):
                pool.take(number)

    def _held(self, spec: ServiceSpec) -> list[tuple[pools.Pool, int]]:
        """Everything that a Service has of the pools."""
        held = []
        for text in spec.clusterIPs or [spec.clusterIP]:
            if text and text != NONE and spec.type != "ExternalName":
                number = int(ipaddress.ip_address(text))
                if number in self._addresses:
                    held.append((self._addresses, number))
        for port in spec.ports:
            if port.nodePort:
                held.append((self._ports[port.protocol], port.nodePort))
        return held

    def _fill_families(self, spec: ServiceSpec) -> None:
        if spec.type == "ExternalName":
            return
        spec.ipFamilyPolicy = spec.ipFamilyPolicy or "SingleStack"
        spec.ipFamilies = spec.ipFamilies or [self._family]

    def _allocate_address(
        self, service: Service, old: ServiceSpec | None, taken: list[tuple[pools.Pool, int]]
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
        if not spec.clusterIP:
            try:
                number = self._addresses.free(self._rng)
            except pools.Full:
                raise errors.internal_error(
                    "failed to allocate a serviceIP: range is full"
                ) from None
            spec.clusterIP = str(ipaddress.ip_address(number))
            spec.clusterIPs = [spec.clusterIP]
        else:
            number = int(ipaddress.ip_address(spec.clusterIP))
            self._check_address(service, number)
        self._addresses.take(number)
        taken.append((self._addresses, number))

    def _check_address(self, service: Service, number: int) -> None:
        text = service.spec.clusterIP
        if number not in self._addresses:
            reason = (
                f"the provided IP ({text}) is not in the valid range. "
                f"The range of valid IPs is {self._cidr}"
            )
        elif self._addresses.taken(number):
            reason = "provided IP is already allocated"
        else:
            return
        detail = f"failed to allocate IP {text}: {reason}"
        problem = field.invalid(field.path("spec", "clusterIPs"), service.spec.clusterIPs, detail)
        raise errors.invalid("Service", service.metadata.name, [problem])

    def _refuse_family(self, service: Service) -> None:
        problem = field.invalid(
            field.path("spec", "ipFamilies").index(0),
            service.spec.ipFamilies[0],
            "not configured on this cluster",
        )
        raise errors.invalid("Service", service.metadata.name, [problem])

    def _allocate_ports(
        self, service: Service, old: ServiceSpec | None, taken: list[tuple[pools.Pool, int]]
    ) -> None:
        spec = service.spec
        if spec.type not in WITH_NODE_PORTS:
            return
        if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is False:
            needed = [port for port in spec.ports if port.nodePort]
        else:
            needed = spec.ports
        before = {} if old is None else {(p.protocol, p.nodePort) for p in old.ports if p.nodePort}
        reuse = {} if old is None else {(p.protocol, p.port): p.nodePort for p in old.ports}
        problems: list[FieldError] = []
        own: set[tuple[str, int]] = set()
        same: dict[int, int] = {}
        for position, port in enumerate(needed):
            pool = self._ports[port.protocol]
            if not port.nodePort:
                port.nodePort = reuse.get((port.protocol, port.port), 0)
            if not port.nodePort:
                # The same port over TCP and UDP gets the same node port, where that is free.
                shared = same.get(port.port, 0)
                if shared and not pool.taken(shared):
                    port.nodePort = shared
            if not port.nodePort:
                try:
                    port.nodePort = pool.free(self._rng)
                except pools.Full:
                    raise errors.internal_error(
                        "failed to allocate a nodePort: range is full"
                    ) from None
            key = (port.protocol, port.nodePort)
            same.setdefault(port.port, port.nodePort)
            if key in before or key in own:
                own.add(key)
                continue
            detail = self._port_problem(pool, port.nodePort)
            if detail:
                at = field.path("spec", "ports").index(position).child("nodePort")
                problems.append(field.invalid(at, port.nodePort, detail))
                continue
            pool.take(port.nodePort)
            taken.append((pool, port.nodePort))
            own.add(key)
        if problems:
            raise errors.invalid("Service", service.metadata.name, problems)

    def _port_problem(self, pool: pools.Pool, number: int) -> str:
        if number not in pool:
            low, high = self._port_range
            return (
                f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
            )
        return "provided port is already allocated" if pool.taken(number) else ""
