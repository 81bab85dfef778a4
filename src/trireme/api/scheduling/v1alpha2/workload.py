"""Workload: groups of pods that are scheduled by a policy.

In: Workloads. Called by: the write path, server-side printing. Upstream:
pkg/registry/scheduling/workload; KEP-4671.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.api.scheduling.v1alpha2 import podgroups
from trireme.api.scheduling.v1alpha2.podgroups import (
    DisruptionMode,
    PodGroupResourceClaim,
    PodGroupSchedulingConstraints,
    PodGroupSchedulingPolicy,
)
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Resource
from trireme.machinery.types import (
    Int32,
    Merge,
    Required,
    RetainKeys,
    Struct,
    always,
    constant,
    listmap,
    null,
)


class PodGroupTemplate(Struct):
    name: Annotated[str, Required()] = always(str)
    schedulingPolicy: Annotated[PodGroupSchedulingPolicy, Required()] = always(
        PodGroupSchedulingPolicy
    )
    schedulingConstraints: PodGroupSchedulingConstraints | None = null()
    resourceClaims: Annotated[
        list[PodGroupResourceClaim], listmap("name"), Merge("name"), RetainKeys()
    ] = []
    disruptionMode: DisruptionMode | None = None
    priorityClassName: str = ""
    priority: Int32 | None = None


class TypedLocalObjectReference(Struct):
    apiGroup: str = ""
    kind: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)


class WorkloadSpec(Struct):
    controllerRef: TypedLocalObjectReference | None = None
    podGroupTemplates: Annotated[list[PodGroupTemplate] | None, Required(), listmap("name")] = (
        null()
    )


class Workload(Struct):
    kind: str = constant("Workload")
    apiVersion: str = constant("scheduling.k8s.io/v1alpha2")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[WorkloadSpec, Required()] = always(WorkloadSpec)


_MOST_TEMPLATES = 8


def prepare_create(new: Workload) -> None:
    """Drops fields of disabled feature gates."""
    for template in new.spec.podGroupTemplates or []:
        podgroups.drop_disabled(template, None)


def prepare_update(new: Workload, old: Workload) -> None:
    """The same, but for what the stored template at the same place has."""
    before = old.spec.podGroupTemplates or []
    for position, template in enumerate(new.spec.podGroupTemplates or []):
        podgroups.drop_disabled(template, before[position] if position < len(before) else None)


def validate(new: Workload) -> Errors:
    """The controller reference, and up to eight templates with unique names."""
    errs: Errors = []
    _reference(errs, new)
    templates = new.spec.podGroupTemplates or []
    where = field.path("spec", "podGroupTemplates")
    if len(templates) > _MOST_TEMPLATES:
        errs.append(field.too_many(where, len(templates), _MOST_TEMPLATES))
        return errs
    if not templates:
        errs.append(field.required(where))
    for position, item in enumerate(templates):
        if any(other.name == item.name for other in templates[:position]):
            errs.append(field.duplicate(where.index(position), item))
    for position, item in enumerate(templates):
        here = where.index(position)
        rules.required_syntax(errs, here, "name", item.name, podgroups.short_name)
        podgroups.policy(errs, here.child("schedulingPolicy"), item.schedulingPolicy)
        podgroups.claims(errs, here.child("resourceClaims"), item.resourceClaims)
    return errs


def _reference(errs: Errors, new: Workload) -> None:
    reference = new.spec.controllerRef
    if reference is None:
        return
    at = field.path("spec", "controllerRef")
    if reference.apiGroup:
        rules.syntax(errs, at, "apiGroup", reference.apiGroup, podgroups.long_name)
    rules.required_syntax(errs, at, "kind", reference.kind, names.is_path_segment)
    rules.required_syntax(errs, at, "name", reference.name, names.is_path_segment)


def validate_update(new: Workload, old: Workload) -> Errors:
    """The templates and the controller reference stay."""
    errs: Errors = []
    at, now, was = field.path("spec"), new.spec, old.spec
    if now.controllerRef != was.controllerRef:
        errs.append(field.invalid(at.child("controllerRef"), None, rules.IMMUTABLE))
    templates = now.podGroupTemplates or []
    if templates != (was.podGroupTemplates or []):
        where = at.child("podGroupTemplates")
        errs.append(field.invalid(where, None, rules.IMMUTABLE))
        if len(templates) > _MOST_TEMPLATES:
            errs.append(field.too_many(where, len(templates), _MOST_TEMPLATES))
        if not templates:
            errs.append(field.required(where))
    return errs


RESOURCE = Resource(
    type=Workload,
    plural="workloads",
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        columns.AGE,
    ),
    default_on=False,
    gate="GenericWorkload",
)
