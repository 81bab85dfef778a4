"""Types of MutatingAdmissionPolicy: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.admissionregistration.v1.matching import (
    FailurePolicy,
    MatchCondition,
    MatchResources,
    ParamKind,
    Variable,
)
from trireme.api.admissionregistration.v1.webhook_types import ReinvocationPolicy
from trireme.machinery import meta
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
