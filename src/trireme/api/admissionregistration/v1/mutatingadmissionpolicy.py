"""Types of mutatingadmissionpolicy: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from typing import Annotated, Any

from trireme.api import columns
from trireme.api.admissionregistration.v1 import policy_rules
from trireme.api.admissionregistration.v1.matching import (
    FailurePolicy,
    MatchCondition,
    MatchResources,
    ParamKind,
    Variable,
)
from trireme.api.admissionregistration.v1.webhook_types import ReinvocationPolicy
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource, spec_changed
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
)

PatchType = Annotated[str, Enum(("ApplyConfiguration", "JSONPatch"))]


class ApplyConfiguration(Struct):
    expression: str = ""


class JSONPatch(Struct):
    expression: str = ""


class Mutation(Struct):
    patchType: Annotated[PatchType, Required()] = always(str)
    applyConfiguration: ApplyConfiguration | None = None
    jsonPatch: JSONPatch | None = None


class MutatingAdmissionPolicySpec(Struct):
    paramKind: ParamKind | None = None
    matchConstraints: MatchResources | None = None
    variables: Annotated[list[Variable], Atomic()] = []
    mutations: Annotated[list[Mutation], Atomic()] = []
    failurePolicy: Annotated[FailurePolicy | None, Default("Fail")] = None
    matchConditions: Annotated[list[MatchCondition], listmap("name"), Merge("name")] = []
    reinvocationPolicy: ReinvocationPolicy = ""


class MutatingAdmissionPolicy(Struct):
    kind: str = constant("MutatingAdmissionPolicy")
    apiVersion: str = constant("admissionregistration.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: MutatingAdmissionPolicySpec = always(MutatingAdmissionPolicySpec)


COLUMNS = (
    columns.NAME,
    Column("Mutations", "integer", description="How many expressions change."),
    Column("ParamKind", description="The kind of the policy's parameters."),
    columns.AGE,
)


def row(obj: MutatingAdmissionPolicy, now: float) -> list[Any]:
    """The cells of one MutatingAdmissionPolicy."""
    return [
        obj.metadata.name,
        len(obj.spec.mutations),
        policy_rules.param_kind(obj),
        columns.age(obj.metadata, now),
    ]


RESOURCE = Resource(
    type=MutatingAdmissionPolicy,
    plural="mutatingadmissionpolicies",
    categories=("api-extensions",),
    namespaced=False,
    defaults=policy_rules.defaults,
    validate=policy_rules.validate_mutating,
    validate_update=policy_rules.validate_mutating,
    warnings=policy_rules.warnings,
    unconditional_update=False,
    generation=spec_changed,
    columns=COLUMNS,
    row=row,
)
