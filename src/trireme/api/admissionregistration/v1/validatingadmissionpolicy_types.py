"""Types of ValidatingAdmissionPolicy: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.admissionregistration.v1.matching import (
    FailurePolicy,
    MatchCondition,
    MatchResources,
    ParamKind,
    Variable,
)
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int64,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
)

StatusReason = Annotated[str, Enum(("Forbidden", "Invalid", "RequestEntityTooLarge"))]


class AuditAnnotation(Struct):
    key: Annotated[str, Required()] = always(str)
    valueExpression: Annotated[str, Required()] = always(str)


class Validation(Struct):
    expression: Annotated[str, Required()] = always(str)
    message: str = ""
    reason: StatusReason | None = None
    messageExpression: str = ""


class ValidatingAdmissionPolicySpec(Struct):
    paramKind: ParamKind | None = None
    matchConstraints: MatchResources | None = None
    validations: Annotated[list[Validation], Atomic()] = []
    failurePolicy: Annotated[FailurePolicy | None, Default("Fail")] = None
    auditAnnotations: Annotated[list[AuditAnnotation], Atomic()] = []
    matchConditions: Annotated[list[MatchCondition], listmap("name"), Merge("name")] = []
    variables: Annotated[list[Variable], listmap("name"), Merge("name")] = []


class ExpressionWarning(Struct):
    fieldRef: Annotated[str, Required()] = always(str)
    warning: Annotated[str, Required()] = always(str)


class TypeChecking(Struct):
    expressionWarnings: Annotated[list[ExpressionWarning], Atomic()] = []


class ValidatingAdmissionPolicyStatus(Struct):
    observedGeneration: Int64 = 0
    typeChecking: TypeChecking | None = None
    conditions: Annotated[list[meta.Condition], listmap("type")] = []


class ValidatingAdmissionPolicy(Struct):
    kind: str = constant("ValidatingAdmissionPolicy")
    apiVersion: str = constant("admissionregistration.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ValidatingAdmissionPolicySpec = always(ValidatingAdmissionPolicySpec)
    status: ValidatingAdmissionPolicyStatus = always(ValidatingAdmissionPolicyStatus)
