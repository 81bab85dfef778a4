"""Administrators' access to devices is for namespaces that are labelled for it.

In upstream this is a part of the storage of claims and their templates; it is asked here after the
kinds' own rules. Upstream: pkg/registry/resource; KEP-5018.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trireme.api.core.v1.namespace import Namespace
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceclaimtemplate import ResourceClaimTemplate
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery import errors, field
from trireme.machinery.field import Path
from trireme.machinery.resource import Resource

LABEL: Final = "resource.kubernetes.io/admin-access"
_KINDS: Final = ("ResourceClaim.resource.k8s.io", "ResourceClaimTemplate.resource.k8s.io")
_REQUESTS: Final = field.path("spec", "devices", "requests")
_RESULTS: Final = field.path("status", "allocation", "devices", "results")


class DeviceAdminAccess(PluginBase):
    """For new claims and templates, and for what is allocated to a claim."""

    name = "DeviceAdminAccess"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        expected = ("", "CREATE") if not subresource else ("status", "UPDATE")
        return resource.group_kind in _KINDS and (subresource, operation) == expected

    def validate(self, attributes: Attributes, context: Context) -> None:
        if attributes.operation == "CREATE":
            at = _asked(_REQUESTS, _requests(attributes.new))
        elif _asked(_RESULTS, _results(attributes.old)) is None:
            at = _asked(_RESULTS, _results(attributes.new))
        else:
            return  # granted before; what is allocated does not change
        if at is None:
            return
        namespace = context.reader.get(Namespace, "", attributes.namespace)
        if namespace is not None and namespace.metadata.labels.get(LABEL) == "true":
            return
        detail = (
            f"admin access to devices requires the `{LABEL}: true` label on the containing "
            "namespace"
        )
        kind = attributes.resource.group_kind
        raise errors.invalid(kind, attributes.name, [field.forbidden(at, detail)])


def _requests(obj: ResourceClaim | ResourceClaimTemplate) -> Iterable[Any]:
    spec = obj.spec.spec if isinstance(obj, ResourceClaimTemplate) else obj.spec
    return [request.exactly for request in spec.devices.requests or ()]


def _results(obj: ResourceClaim) -> Iterable[Any]:
    allocation = obj.status.allocation
    return allocation.devices.results if allocation is not None else ()


def _asked(at: Path, items: Iterable[Any]) -> Path | None:
    """Where the access is first asked for."""
    for position, item in enumerate(items):
        if item is not None and item.adminAccess:
            return at.index(position).child("adminAccess")
    return None
