"""ServiceCIDR: networks that the addresses of Services come from.

In: ServiceCIDRs. Called by: the write path, server-side printing. Upstream:
pkg/apis/networking/validation, pkg/registry/networking/servicecidr.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, metadata, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource, status
from trireme.machinery.types import Atomic, Merge, Struct, always, constant, listmap


class ServiceCIDRSpec(Struct):
    cidrs: Annotated[list[str], Atomic()] = []


class ServiceCIDRStatus(Struct):
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []


class ServiceCIDR(Struct):
    kind: str = constant("ServiceCIDR")
    apiVersion: str = constant("networking.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ServiceCIDRSpec = always(ServiceCIDRSpec)
    status: ServiceCIDRStatus = always(ServiceCIDRStatus)


_AT = field.path("spec", "cidrs")


def validate(new: ServiceCIDR) -> Errors:
    """One network, or two of different families."""
    errs: Errors = []
    cidrs = new.spec.cidrs
    if not cidrs:
        errs.append(field.required(_AT, "at least one CIDR required"))
        return errs
    if len(cidrs) > 2:
        errs.append(field.invalid(_AT, new.spec, "may only hold up to 2 values"))
        return errs
    for position, cidr in enumerate(cidrs):
        rules.add(errs, _AT.index(position), cidr, names.is_cidr(cidr))
    if len(cidrs) == 2 and _family(cidrs[0]) is not None and _family(cidrs[0]) == _family(cidrs[1]):
        detail = (
            "may specify no more than one IP for each IP family, "
            "i.e 192.168.0.0/24 and 2001:db8::/64"
        )
        errs.append(field.invalid(_AT, cidrs, detail))
    return errs


def _family(cidr: str) -> int | None:
    address = names.parse_ip_sloppy(cidr.partition("/")[0])
    return None if address is None or names.is_legacy_cidr(cidr) else address.version


def validate_update(new: ServiceCIDR, old: ServiceCIDR) -> Errors:
    """The networks stay; a second one may join the first."""
    errs: Errors = []
    cidrs, before = new.spec.cidrs, old.spec.cidrs
    grows = len(before) == 1 and len(cidrs) == 2
    if len(cidrs) != len(before) and not grows:
        return [field.invalid(_AT, cidrs, rules.IMMUTABLE)]
    for position, was in enumerate(before):
        if cidrs[position] != was:
            errs.append(field.invalid(_AT.index(position), cidrs[position], rules.IMMUTABLE))
    return errs + validate(new) if grows else errs


RESOURCE = Resource(
    type=ServiceCIDR,
    plural="servicecidrs",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    validate=validate,
    validate_update=validate_update,
    prepare_status=metadata.prepare_status,
    columns=(
        columns.NAME,
        Column(
            "CIDRs",
            lambda obj: ",".join(obj.spec.cidrs),
            "The networks, one of each family at most.",
        ),
        columns.AGE,
    ),
)
