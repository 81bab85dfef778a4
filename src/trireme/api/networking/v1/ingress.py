"""Ingress: which Service answers which host and path. Warnings, columns, ``RESOURCE``.

In: Ingresses. Called by: the write path, server-side printing. Upstream:
pkg/registry/networking/ingress.
"""

from __future__ import annotations

from typing import Final

from trireme.api import addresses, columns
from trireme.api.networking.v1 import ingress_rules
from trireme.api.networking.v1.ingress_types import Ingress, IngressRule
from trireme.machinery import field
from trireme.machinery.resource import Column, Resource, spec_changed, status

_MOST_HOSTS: Final = 3


def warnings(new: Ingress, old: Ingress | None) -> list[str]:
    """The deprecated class annotation."""
    noted = ingress_rules.CLASS_ANNOTATION
    if old is None and noted in new.metadata.annotations and new.spec.ingressClassName is None:
        return [f"annotation \"{noted}\" is deprecated, please use 'spec.ingressClassName' instead"]
    return []


def status_warnings(new: Ingress, _old: Ingress) -> list[str]:
    """Addresses that are not in canonical form."""
    at = field.path("status", "loadBalancer", "ingress")
    found: list[str] = []
    for position, item in enumerate(new.status.loadBalancer.ingress):
        if item.ip:
            found += addresses.ip_warnings(at.index(position), item.ip)
    return found


def _hosts(items: list[IngressRule]) -> str:
    hosts: list[str] = []
    more = False
    for item in items:
        more = more or len(hosts) == _MOST_HOSTS
        if item.host and not more:
            hosts.append(item.host)
    if not hosts:
        return "*"
    text = ",".join(hosts)
    return f"{text} + {len(items) - _MOST_HOSTS} more..." if more else text


def _address(obj: Ingress) -> str:
    found = {item.ip or item.hostname for item in obj.status.loadBalancer.ingress} - {""}
    return ",".join(sorted(found))


RESOURCE = Resource(
    type=Ingress,
    plural="ingresses",
    short_names=("ing",),
    subresources=(status(),),
    validate=ingress_rules.validate,
    validate_update=ingress_rules.validate_update,
    validate_status=ingress_rules.validate_status,
    warnings=warnings,
    status_warnings=status_warnings,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column(
            "Class", "spec.ingressClassName", "The IngressClass that serves it.", empty=columns.NONE
        ),
        Column("Hosts", lambda obj: _hosts(obj.spec.rules), "The hosts of its rules."),
        Column("Address", _address, "Where it is reached."),
        Column(
            "Ports", lambda obj: "80, 443" if obj.spec.tls else "80", "The ports that are open."
        ),
        columns.AGE,
    ),
)
