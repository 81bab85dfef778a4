"""Types of endpoints: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated, Any

from trireme.api import columns
from trireme.api.core.v1.pod.container import Protocol
from trireme.api.core.v1.references import ObjectReference
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource
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


COLUMNS = (
    columns.NAME,
    Column("Endpoints", description="The first ready addresses with their ports."),
    columns.AGE,
)


def row(obj: Endpoints, now: float) -> list[Any]:
    """The cells of one Endpoints."""
    shown = columns.few(_ready(obj)) if obj.subsets else columns.NONE
    return [obj.metadata.name, shown, columns.age(obj.metadata, now)]


def _ready(obj: Endpoints) -> list[str]:
    found: list[str] = []
    for subset in obj.subsets:
        addresses = [address.ip for address in subset.addresses]
        if not subset.ports:
            found += addresses
        for port in subset.ports:
            found += [f"[{ip}]:{port.port}" if ":" in ip else f"{ip}:{port.port}"
                      for ip in addresses]
    return found


RESOURCE = Resource(
    type=Endpoints,
    plural="endpoints",
    short_names=("ep",),
    create_on_update=True,
    columns=COLUMNS,
    row=row,
)
