"""StorageVersionMigration: rewrite all objects of a kind in the current storage version.

In: StorageVersionMigrations. Called by: the write path, server-side printing. Upstream:
pkg/apis/storagemigration/validation, pkg/registry/storagemigration; KEP-4192.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import metadata, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource, status
from trireme.machinery.types import Merge, Required, Struct, always, constant, listmap


class StorageVersionMigrationSpec(Struct):
    resource: Annotated[meta.GroupResource, Required()] = always(meta.GroupResource)


class StorageVersionMigrationStatus(Struct):
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []
    resourceVersion: str = ""


class StorageVersionMigration(Struct):
    kind: str = constant("StorageVersionMigration")
    apiVersion: str = constant("storagemigration.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: StorageVersionMigrationSpec = always(StorageVersionMigrationSpec)
    status: StorageVersionMigrationStatus = always(StorageVersionMigrationStatus)


_PHASES = ("Running", "Succeeded", "Failed")


def validate(new: StorageVersionMigration) -> Errors:
    """A kind by its group and resource."""
    errs: Errors = []
    at, resource = field.path("spec", "resource"), new.spec.resource
    if rules.required(errs, at, "resource", resource.resource, "resource is required to be set"):
        messages = names.is_dns1035_label(resource.resource)
        if messages:
            where = at.child("resource")
            errs.append(field.invalid(where, resource.resource, ",".join(messages)))
    messages = names.is_dns1123_subdomain(resource.group) if resource.group else []
    if messages:
        errs.append(field.invalid(at.child("group"), resource.group, ",".join(messages)))
    return errs


def validate_update(new: StorageVersionMigration, old: StorageVersionMigration) -> Errors:
    """The kind stays."""
    errs = validate(new)
    rules.unchanged(errs, field.path(), "spec", new.spec, old.spec)
    return errs


def validate_status(new: StorageVersionMigration, old: StorageVersionMigration) -> Errors:
    """Succeeded and Failed exclude each other, and stay."""
    errs: Errors = []
    at = field.path("status")
    revision, before = new.status.resourceVersion, old.status.resourceVersion
    if revision and not (revision.isascii() and revision.isdigit() and revision[0] != "0"):
        detail = f"resource version is not well formed: {revision}"
        errs.append(field.invalid(at.child("resourceVersion"), revision, detail))
    where, conditions = at.child("conditions"), new.status.conditions
    rules.conditions(errs, where, conditions)
    if before:
        rules.unchanged(errs, at, "resourceVersion", revision, before)
    if _is(new, "Succeeded") and _is(new, "Failed"):
        detail = "Both success and failed conditions cannot be true at the same time"
        errs.append(field.invalid(where, conditions, detail))
    for kind, result in (("Succeeded", "Success"), ("Failed", "Failed")):
        if _is(old, kind) and not _is(new, kind):
            detail = f"{result} condition cannot be set to false once it is true"
            errs.append(field.invalid(where, conditions, detail))
    return errs


def _is(obj: StorageVersionMigration, kind: str) -> bool:
    found = next((item for item in obj.status.conditions if item.type == kind), None)
    return found is not None and found.status == "True"


RESOURCE = Resource(
    type=StorageVersionMigration,
    plural="storageversionmigrations",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    validate=validate,
    validate_update=validate_update,
    prepare_status=metadata.prepare_status,
    validate_status=validate_status,
    unconditional_update=False,
    columns=(
        Column("Name", "metadata.name", "What the object is called."),
        Column(
            "Resource",
            lambda obj: (
                f"{obj.spec.resource.resource}.{obj.spec.resource.group}"
                if obj.spec.resource.group
                else obj.spec.resource.resource
            ),
            "The kind that is brought up to date.",
        ),
        Column(
            "Status",
            lambda obj: (
                [
                    kind
                    for kind in [
                        item.type for item in obj.status.conditions if item.status == "True"
                    ]
                    if kind in _PHASES
                ][-1]
                if [
                    kind
                    for kind in [
                        item.type for item in obj.status.conditions if item.status == "True"
                    ]
                    if kind in _PHASES
                ]
                else "Unknown"
            ),
            "How far it is.",
        ),
    ),
    default_on=False,
    gate="StorageVersionMigrator",
)
