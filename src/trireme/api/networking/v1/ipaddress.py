"""IPAddress: an allocated address, and the object that has it.

In: IPAddresses. Called by: the write path, server-side printing. Upstream:
pkg/apis/networking/validation, pkg/registry/networking/ipaddress.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Required, Struct, always, constant


class ParentReference(Struct):
    group: str = ""
    resource: Annotated[str, Required()] = ""
    namespace: str = ""
    name: Annotated[str, Required()] = ""


class IPAddressSpec(Struct):
    parentRef: Annotated[ParentReference | None, Required()] = None


class IPAddress(Struct):
    kind: str = constant("IPAddress")
    apiVersion: str = constant("networking.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[IPAddressSpec, Required()] = always(IPAddressSpec)


def validate(new: IPAddress) -> Errors:
    """A canonical address and a parent reference."""
    errs: Errors = []
    at, parent = field.path("spec"), new.spec.parentRef
    if parent is None:
        errs.append(field.required(at.child("parentRef")))
        return errs
    at = at.child("parentRef")
    if parent.group:
        rules.syntax(errs, at, "group", parent.group, names.is_dns1123_subdomain)
    rules.required_syntax(errs, at, "resource", parent.resource, names.is_path_segment)
    rules.required_syntax(errs, at, "name", parent.name, names.is_path_segment)
    if parent.namespace:
        rules.syntax(errs, at, "namespace", parent.namespace, names.is_path_segment)
    return errs


def validate_update(new: IPAddress, old: IPAddress) -> Errors:
    """The parent reference stays."""
    errs = validate(new)
    rules.unchanged(errs, field.path("spec"), "parentRef", new.spec.parentRef, old.spec.parentRef)
    return errs


def _parent(obj: IPAddress) -> str:
    parent = obj.spec.parentRef
    if parent is None:
        return columns.NONE
    kind = f"{parent.resource}.{parent.group}" if parent.group else parent.resource
    namespace = f"/{parent.namespace}" if parent.namespace else ""
    return f"{kind.lower()}{namespace}/{parent.name}"


RESOURCE = Resource(
    type=IPAddress,
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    name_errors=names.is_ip,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("ParentRef", _parent, "The object that has the address."),
        # Upstream defines no column for the age.
        replace(columns.AGE, name=""),
    ),
)
