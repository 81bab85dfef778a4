"""PodGroup: pods that are scheduled together.

In: PodGroups. Called by: the write path, server-side printing. Upstream:
pkg/registry/scheduling/podgroup; KEP-4671.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, metadata, rules
from trireme.api.rules import Errors
from trireme.api.scheduling.v1alpha2 import podgroups
from trireme.api.scheduling.v1alpha2.podgroups import (
    DisruptionMode,
    PodGroupResourceClaim,
    PodGroupSchedulingConstraints,
    PodGroupSchedulingPolicy,
)
from trireme.machinery import field, meta
from trireme.machinery.resource import Column, Resource, status
from trireme.machinery.types import (
    Default,
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


class WorkloadPodGroupTemplateReference(Struct):
    workloadName: Annotated[str, Required()] = always(str)
    podGroupTemplateName: Annotated[str, Required()] = always(str)


class PodGroupTemplateReference(Struct):
    workload: WorkloadPodGroupTemplateReference | None = null()


class PodGroupSpec(Struct):
    podGroupTemplateRef: PodGroupTemplateReference | None = null()
    schedulingPolicy: Annotated[PodGroupSchedulingPolicy, Required()] = always(
        PodGroupSchedulingPolicy
    )
    schedulingConstraints: PodGroupSchedulingConstraints | None = None
    resourceClaims: Annotated[
        list[PodGroupResourceClaim], listmap("name"), Merge("name"), RetainKeys()
    ] = []
    disruptionMode: Annotated[DisruptionMode | None, Default("Pod")] = None
    priorityClassName: str = ""
    priority: Int32 | None = None


class PodGroupResourceClaimStatus(Struct):
    name: Annotated[str, Required()] = always(str)
    resourceClaimName: str | None = None


class PodGroupStatus(Struct):
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []
    resourceClaimStatuses: Annotated[
        list[PodGroupResourceClaimStatus], listmap("name"), Merge("name"), RetainKeys()
    ] = []


class PodGroup(Struct):
    kind: str = constant("PodGroup")
    apiVersion: str = constant("scheduling.k8s.io/v1alpha2")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[PodGroupSpec, Required()] = always(PodGroupSpec)
    status: PodGroupStatus = always(PodGroupStatus)


# The finalizer with which its pods keep a PodGroup.
PROTECTION = "scheduling.k8s.io/podgroup-protection"
_AT = field.path("spec")
_MOST_CLAIMS = 4


def prepare_create(new: PodGroup) -> None:
    """Drops fields of disabled feature gates, except defaults."""
    podgroups.drop_disabled(new.spec, None)
    new.spec.disruptionMode = "Pod"


def prepare_update(new: PodGroup, old: PodGroup) -> None:
    """The same, but for what is stored."""
    podgroups.drop_disabled(new.spec, old.spec)


def validate(new: PodGroup) -> Errors:
    """The template that it is of, its policy and claims."""
    errs: Errors = []
    reference = new.spec.podGroupTemplateRef
    if reference is not None:
        where = _AT.child("podGroupTemplateRef")
        podgroups.union(errs, where, reference, ("workload",))
        if reference.workload is not None:
            where, of = where.child("workload"), reference.workload
            check = podgroups.long_name
            rules.required_syntax(errs, where, "workloadName", of.workloadName, check)
            check = podgroups.short_name
            rules.required_syntax(
                errs, where, "podGroupTemplateName", of.podGroupTemplateName, check
            )
    podgroups.policy(errs, _AT.child("schedulingPolicy"), new.spec.schedulingPolicy)
    podgroups.claims(errs, _AT.child("resourceClaims"), new.spec.resourceClaims)
    return errs


def validate_update(new: PodGroup, old: PodGroup) -> Errors:
    """All stays."""
    errs: Errors = []
    for name in ("podGroupTemplateRef", "schedulingPolicy", "resourceClaims"):
        if getattr(new.spec, name) != getattr(old.spec, name):
            errs.append(field.invalid(_AT.child(name), None, rules.IMMUTABLE))
    if len(new.spec.resourceClaims) > _MOST_CLAIMS and errs:
        where, count = _AT.child("resourceClaims"), len(new.spec.resourceClaims)
        errs.append(field.too_many(where, count, _MOST_CLAIMS))
    podgroups.forbid_disabled(errs, _AT, new.spec, old.spec)
    return errs


def prepare_status(new: PodGroup, old: PodGroup) -> None:
    """A write of the status leaves metadata alone; claims wait for a gate."""
    metadata.prepare_status(new, old)
    if not old.spec.resourceClaims:
        new.status.resourceClaimStatuses = []


def validate_status(new: PodGroup, old: PodGroup) -> Errors:
    """Conditions, and claims that the spec knows."""
    errs: Errors = []
    at = field.path("status")
    rules.conditions(errs, at.child("conditions"), new.status.conditions)
    known = {item.name for item in new.spec.resourceClaims}
    where, items = at.child("resourceClaimStatuses"), new.status.resourceClaimStatuses
    for position, item in enumerate(items):
        if item.name not in known:
            detail = "must match the name of an entry in `spec.resourceClaims`"
            errs.append(field.invalid(where.index(position).child("name"), item.name, detail))
    if items == old.status.resourceClaimStatuses:
        return errs
    if len(items) > _MOST_CLAIMS:
        errs.append(field.too_many(where, len(items), _MOST_CLAIMS))
        return errs
    for position, item in enumerate(items):
        here = where.index(position)
        if any(other.name == item.name for other in items[:position]):
            errs.append(field.duplicate(here, item))
        if item.resourceClaimName is not None:
            check = podgroups.long_name
            rules.syntax(errs, here, "resourceClaimName", item.resourceClaimName, check)
    return errs


def _state(obj: PodGroup) -> str:
    conditions = {item.type: item for item in obj.status.conditions}
    scheduled, disrupted = conditions.get("PodGroupScheduled"), conditions.get("DisruptionTarget")
    if disrupted is not None:
        return disrupted.reason
    if scheduled is None:
        return "Pending"
    return "Scheduled" if scheduled.status == "True" else "Unschedulable"


def _workload(obj: PodGroup) -> str:
    reference = obj.spec.podGroupTemplateRef
    workload = None if reference is None else reference.workload
    return columns.NONE if workload is None else workload.workloadName


def _policy(obj: PodGroup) -> str:
    return "Basic" if obj.spec.schedulingPolicy.gang is None else "Gang"


RESOURCE = Resource(
    type=PodGroup,
    plural="podgroups",
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    prepare_status=prepare_status,
    validate_status=validate_status,
    columns=(
        columns.NAME,
        Column("Policy", _policy, "How its pods are scheduled."),
        Column("Workload", _workload, "The Workload that it is of."),
        Column("Status", _state, "How far scheduling is."),
        columns.AGE,
    ),
    default_on=False,
    gate="GenericWorkload",
)
