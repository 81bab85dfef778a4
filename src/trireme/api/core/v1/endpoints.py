"""Types of endpoints: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.pod.container import Protocol
from trireme.api.core.v1.references import ObjectReference
from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Atomic, Default, Int32, Required, Struct, always, constant


class EndpointAddress(Struct):
    ip: Annotated[str, Required()] = always(str)
    hostname: str = ""
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


class EndpointPort(Struct):
    name: str = ""
    port: Annotated[Int32, Required()] = always(int)
    protocol: Annotated[Protocol, Default("TCP")] = ""
    appProtocol: str | None = None


class EndpointSubset(Struct):
    addresses: Annotated[list[EndpointAddress], Atomic()] = []
    notReadyAddresses: Annotated[list[EndpointAddress], Atomic()] = []
    ports: Annotated[list[EndpointPort], Atomic()] = []


class Endpoints(Struct):
    kind: str = constant("Endpoints")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    subsets: Annotated[list[EndpointSubset], Atomic()] = []


RESOURCE = Resource(
    type=Endpoints,
    plural="endpoints",
    short_names=("ep",),
)
