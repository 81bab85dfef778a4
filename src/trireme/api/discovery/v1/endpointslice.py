"""Types of endpointslice: see the API reference, discovery/v1."""

from __future__ import annotations

from trireme.api import addresses, columns
from trireme.api.discovery.v1 import endpointslice_rules
from trireme.api.discovery.v1.endpointslice_types import (
    EndpointPort,
    EndpointSlice,
)
from trireme.machinery import field, names
from trireme.machinery.resource import Column, Resource

HOSTNAME = "kubernetes.io/hostname"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


def prepare_create(new: EndpointSlice) -> None:
    """``deprecatedTopology`` is not written by this version."""
    for endpoint in new.endpoints:
        endpoint.deprecatedTopology = {}


def prepare_update(new: EndpointSlice, old: EndpointSlice) -> None:
    """As on create, but a node name that old clients kept in the topology is carried over."""
    if new.endpoints == old.endpoints:
        return
    known = {item.deprecatedTopology.get(HOSTNAME) for item in old.endpoints}
    for endpoint in new.endpoints:
        node = endpoint.deprecatedTopology.get(HOSTNAME)
        kept = endpoint.nodeName is None and node and node in known
        if kept and not names.is_dns1123_subdomain(node or ""):
            endpoint.nodeName = node
        endpoint.deprecatedTopology = {}


def warnings(new: EndpointSlice, old: EndpointSlice | None) -> list[str]:
    """FQDN slices; addresses that are not in canonical form, except those that the
    controllers write."""
    found: list[str] = []
    if old is None and new.addressType == "FQDN":
        found.append("spec.addressType: FQDN endpoints are deprecated")
    if new.metadata.labels.get(MANAGED_BY) in CONTROLLERS:
        return found
    for position, endpoint in enumerate(new.endpoints):
        where = field.path("endpoints").index(position).child("addresses")
        for number, address in enumerate(endpoint.addresses):
            found += addresses.ip_warnings(where.index(number), address)
    return found


def changed(new: EndpointSlice, old: EndpointSlice) -> bool:
    """The generation counts all but the metadata, and the labels."""
    return (
        new.endpoints != old.endpoints
        or new.ports != old.ports
        or new.addressType != old.addressType
        or new.metadata.labels != old.metadata.labels
    )


def _port(port: EndpointPort) -> str:
    if port.port is not None:
        return str(port.port)
    return port.name if port.name is not None else "*"


RESOURCE = Resource(
    type=EndpointSlice,
    plural="endpointslices",
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=endpointslice_rules.create,
    validate_update=endpointslice_rules.update,
    generation=changed,
    warnings=warnings,
    columns=(
        columns.NAME,
        Column("AddressType", "addressType", "What the addresses are: IPv4, IPv6 or FQDN."),
        Column(
            "Ports",
            lambda obj: columns.few(_port(port) for port in obj.ports) or columns.UNSET,
            "The first ports, for every endpoint.",
        ),
        Column(
            "Endpoints",
            lambda obj: (
                columns.few(
                    [address for endpoint in obj.endpoints for address in endpoint.addresses]
                )
                or columns.UNSET
            ),
            "The first addresses, ready or not.",
        ),
        columns.AGE,
    ),
)
