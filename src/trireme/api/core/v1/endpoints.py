"""Types of endpoints: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import addresses, columns, rules
from trireme.api.core.v1.pod.container import Protocol
from trireme.api.core.v1.references import ObjectReference
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import (
    Atomic,
    Default,
    Int32,
    Required,
    Struct,
    always,
    atomic,
    constant,
)

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"


@atomic
class EndpointAddress(Struct):
    ip: Annotated[str, Required()] = always(str)
    hostname: str = ""
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


@atomic
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


def validate(new: Endpoints) -> Errors:
    """Addresses that traffic can be sent to, with named ports."""
    errs: Errors = []
    for position, subset in enumerate(new.subsets):
        here = field.path("subsets").index(position)
        if not subset.addresses and not subset.notReadyAddresses:
            detail = "must specify `addresses` or `notReadyAddresses`"
            errs.append(field.required(here, detail))
        for kind in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(getattr(subset, kind)):
                _validate_address(errs, here.child(kind).index(number), address)
        several = len(subset.ports) > 1
        for number, port in enumerate(subset.ports):
            _validate_port(errs, here.child("ports").index(number), port, several)
    return errs


def validate_update(new: Endpoints, old: Endpoints) -> Errors:
    """As on create; what is stored and stays is not validated again."""
    return validate(new) if new.subsets != old.subsets else []


def warnings(new: Endpoints, _old: Endpoints | None) -> list[str]:
    """Addresses that are not in canonical form; those of the controller are skipped."""
    if new.metadata.labels.get(MANAGED_BY) == CONTROLLER:
        return []
    found: list[str] = []
    for position, subset in enumerate(new.subsets):
        here = field.path("subsets").index(position)
        for kind in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(getattr(subset, kind)):
                where = here.child(kind).index(number).child("ip")
                found += addresses.ip_warnings(where, address.ip)
    return found


def _validate_address(errs: Errors, at: Path, address: EndpointAddress) -> None:
    rules.syntax(errs, at, "ip", address.ip, names.is_legacy_ip)
    if address.hostname:
        rules.syntax(errs, at, "hostname", address.hostname, names.is_dns1123_label)
    if address.nodeName is not None:
        rules.syntax(errs, at, "nodeName", address.nodeName, names.is_dns1123_subdomain)
    rules.endpoint_ip(errs, at.child("ip"), address.ip)


def _validate_port(errs: Errors, at: Path, port: EndpointPort, several: bool) -> None:
    if port.name:
        rules.syntax(errs, at, "name", port.name, names.is_dns1123_label)
    elif several:
        errs.append(field.required(at.child("name")))
    rules.add(errs, at.child("port"), port.port, names.is_port_number(port.port))
    rules.declared(errs, at, port, "protocol")
    if port.appProtocol is not None:
        rules.syntax(errs, at, "appProtocol", port.appProtocol, names.is_qualified_name)


def _ready(obj: Endpoints) -> list[str]:
    found: list[str] = []
    for subset in obj.subsets:
        addresses = [address.ip for address in subset.addresses]
        if not subset.ports:
            found += addresses
        for port in subset.ports:
            found += [
                f"[{ip}]:{port.port}" if ":" in ip else f"{ip}:{port.port}" for ip in addresses
            ]
    return found


RESOURCE = Resource(
    type=Endpoints,
    plural="endpoints",
    deprecated="v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    short_names=("ep",),
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    create_on_update=True,
    columns=(
        columns.NAME,
        Column(
            "Endpoints",
            lambda obj: columns.few(_ready(obj)) if obj.subsets else columns.NONE,
            "The first ready addresses with their ports.",
        ),
        columns.AGE,
    ),
)
