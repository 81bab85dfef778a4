"""Rules of EndpointSlices.

In: a defaulted and prepared EndpointSlice, and the stored one. Out: field errors. Called by: the
kind's ``RESOURCE``. Upstream: pkg/apis/discovery/validation;
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.discovery.v1.endpointslice_types import (
    Endpoint,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")
_MAX_TOPOLOGY: Final = 16
_MAX_ADDRESSES: Final = 100
_MAX_PORTS: Final = 20000
_MAX_ENDPOINTS: Final = 1000
_MAX_HINTS: Final = 8


def create(new: EndpointSlice) -> Errors:
    """A new slice."""
    errs: Errors = []
    kind = new.addressType
    rules.declared(errs, field.path(), new, "addressType")
    _ports(errs, field.path("ports"), new.ports)
    _endpoints(errs, field.path("endpoints"), new.endpoints, kind)
    return errs


def update(new: EndpointSlice, old: EndpointSlice) -> Errors:
    """A changed slice; endpoints that stay are not validated again."""
    errs: Errors = []
    kind = new.addressType
    rules.declared(errs, field.path(), new, "addressType")
    _ports(errs, field.path("ports"), new.ports)
    if new.endpoints != old.endpoints:
        _endpoints(errs, field.path("endpoints"), new.endpoints, kind)
    rules.unchanged(errs, field.path(), "addressType", kind, old.addressType)
    return errs


def _ports(errs: Errors, at: Path, ports: list[EndpointPort]) -> None:
    if len(ports) > _MAX_PORTS:
        errs.append(field.too_many(at, len(ports), _MAX_PORTS))
        return
    used: set[str] = set()
    for position, port in enumerate(ports):
        here, name = at.index(position), port.name or ""
        if name:
            rules.syntax(errs, here, "name", name, names.is_dns1123_label)
        if name in used:
            errs.append(field.duplicate(here.child("name"), name))
        used.add(name)
        if port.protocol is None:
            errs.append(field.required(here.child("protocol")))
        else:
            rules.one_of(errs, here, "protocol", port.protocol, rules.PROTOCOLS)
        if port.appProtocol is not None:
            rules.syntax(errs, here, "appProtocol", port.appProtocol, names.is_qualified_name)


def _endpoints(errs: Errors, at: Path, endpoints: list[Endpoint], kind: str) -> None:
    if len(endpoints) > _MAX_ENDPOINTS:
        errs.append(field.too_many(at, len(endpoints), _MAX_ENDPOINTS))
        return
    for position, endpoint in enumerate(endpoints):
        here = at.index(position)
        _addresses(errs, here.child("addresses"), endpoint.addresses, kind)
        if endpoint.nodeName is not None:
            rules.syntax(errs, here, "nodeName", endpoint.nodeName, names.is_dns1123_subdomain)
        topology = endpoint.deprecatedTopology
        if topology:
            where = here.child("deprecatedTopology")
            if len(topology) > _MAX_TOPOLOGY:
                errs.append(field.too_many(where, len(topology), _MAX_TOPOLOGY))
            rules.labels(errs, where, topology)
        if endpoint.hostname is not None:
            rules.syntax(errs, here, "hostname", endpoint.hostname, names.is_dns1123_label)
        if endpoint.hints is not None:
            _hints(errs, here.child("hints"), endpoint.hints)


def _addresses(errs: Errors, at: Path, addresses: list[str], kind: str) -> None:
    if not addresses:
        errs.append(field.required(at, "must contain at least 1 address"))
    elif len(addresses) > _MAX_ADDRESSES:
        errs.append(field.too_many(at, len(addresses), _MAX_ADDRESSES))
    for position, address in enumerate(addresses):
        here = at.index(position)
        if kind == "FQDN":
            if not address:
                errs.append(field.required(here))
            else:
                rules.add(errs, here, address, names.is_fully_qualified_domain_name(address))
            continue
        if kind not in _ADDRESS_TYPES:
            continue
        check = names.is_legacy_ip if kind == "IPv4" else names.is_ip
        messages = check(address)
        if messages:
            rules.add(errs, here, address, messages)
            continue
        if (":" in address) != (kind == "IPv6"):
            errs.append(field.invalid(at, address, f"must be an {kind} address"))
        rules.endpoint_ip(errs, here, address)


def _hints(errs: Errors, at: Path, hints: EndpointHints) -> None:
    for kind, check in (
        ("forZones", names.is_label_value),
        ("forNodes", names.is_dns1123_subdomain),
    ):
        items = getattr(hints, kind)
        if len(items) > _MAX_HINTS:
            errs.append(field.too_many(at.child(kind), len(items), _MAX_HINTS))
            return
        used: set[str] = set()
        for position, item in enumerate(items):
            where = at.child(kind).index(position).child("name")
            if item.name in used:
                errs.append(field.duplicate(where, item.name))
            used.add(item.name)
            rules.add(errs, where, item.name, check(item.name))
