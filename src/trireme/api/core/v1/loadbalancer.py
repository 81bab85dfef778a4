"""Types of loadbalancer: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.pod.container import Protocol
from trireme.machinery.types import Atomic, Enum, Int32, Required, Struct, always

LoadBalancerIPMode = Annotated[str, Enum(("Proxy", "VIP"))]


class PortStatus(Struct):
    port: Annotated[Int32, Required()] = always(int)
    protocol: Annotated[Protocol, Required()] = always(str)
    error: str | None = None


class LoadBalancerIngress(Struct):
    ip: str = ""
    hostname: str = ""
    ipMode: LoadBalancerIPMode | None = None
    ports: Annotated[list[PortStatus], Atomic()] = []


class LoadBalancerStatus(Struct):
    ingress: Annotated[list[LoadBalancerIngress], Atomic()] = []
