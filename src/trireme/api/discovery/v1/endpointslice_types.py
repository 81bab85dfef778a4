"""Types of EndpointSlice: see the API reference, discovery/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.pod.container import Protocol
from trireme.api.core.v1.references import ObjectReference
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    ListSet,
    Required,
    Struct,
    always,
    atomic,
    constant,
)

AddressType = Annotated[str, Enum(("FQDN", "IPv4", "IPv6"))]


class EndpointConditions(Struct):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForNode(Struct):
    name: Annotated[str, Required()] = always(str)


class ForZone(Struct):
    name: Annotated[str, Required()] = always(str)


class EndpointHints(Struct):
    forZones: Annotated[list[ForZone], Atomic()] = []
    forNodes: Annotated[list[ForNode], Atomic()] = []


class Endpoint(Struct):
    addresses: Annotated[list[str], Required(), ListSet()] = always(list)
    conditions: EndpointConditions = always(EndpointConditions)
    hostname: str | None = None
    targetRef: ObjectReference | None = None
    deprecatedTopology: dict[str, str] = {}
    nodeName: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


@atomic
class EndpointPort(Struct):
    name: Annotated[str | None, Default("")] = None
    protocol: Annotated[Protocol | None, Default("TCP")] = None
    port: Int32 | None = None
    appProtocol: str | None = None


class EndpointSlice(Struct):
    kind: str = constant("EndpointSlice")
    apiVersion: str = constant("discovery.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    addressType: Annotated[AddressType, Required()] = always(str)
    endpoints: Annotated[list[Endpoint], Atomic()] = always(list)
    ports: Annotated[list[EndpointPort], Atomic()] = always(list)
