"""Types of flowschema: see the API reference, flowcontrol/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.flowcontrol.v1.conditions import FlowSchemaCondition
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Int32,
    ListSet,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
    null,
)


class FlowDistinguisherMethod(Struct):
    type: Annotated[str, Required()] = always(str)


class NonResourcePolicyRule(Struct):
    verbs: Annotated[list[str] | None, Required(), ListSet()] = null()
    nonResourceURLs: Annotated[list[str] | None, Required(), ListSet()] = null()


class ResourcePolicyRule(Struct):
    verbs: Annotated[list[str] | None, Required(), ListSet()] = null()
    apiGroups: Annotated[list[str] | None, Required(), ListSet()] = null()
    resources: Annotated[list[str] | None, Required(), ListSet()] = null()
    clusterScope: bool = False
    namespaces: Annotated[list[str] | None, ListSet()] = null()


class GroupSubject(Struct):
    name: Annotated[str, Required()] = always(str)


class ServiceAccountSubject(Struct):
    namespace: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)


class UserSubject(Struct):
    name: Annotated[str, Required()] = always(str)


class Subject(Struct):
    kind: Annotated[str, Required()] = always(str)
    user: UserSubject | None = None
    group: GroupSubject | None = None
    serviceAccount: ServiceAccountSubject | None = None


class PolicyRulesWithSubjects(Struct):
    subjects: Annotated[list[Subject] | None, Required(), Atomic()] = null()
    resourceRules: Annotated[list[ResourcePolicyRule], Atomic()] = []
    nonResourceRules: Annotated[list[NonResourcePolicyRule], Atomic()] = []


class PriorityLevelConfigurationReference(Struct):
    name: Annotated[str, Required()] = always(str)


class FlowSchemaSpec(Struct):
    priorityLevelConfiguration: Annotated[PriorityLevelConfigurationReference, Required()] = always(
        PriorityLevelConfigurationReference
    )
    matchingPrecedence: Annotated[Int32, Default(1000)] = always(int)
    distinguisherMethod: FlowDistinguisherMethod | None = None
    rules: Annotated[list[PolicyRulesWithSubjects], Atomic()] = []


class FlowSchemaStatus(Struct):
    conditions: Annotated[list[FlowSchemaCondition], listmap("type"), Merge("type")] = []


class FlowSchema(Struct):
    kind: str = constant("FlowSchema")
    apiVersion: str = constant("flowcontrol.apiserver.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: FlowSchemaSpec = always(FlowSchemaSpec)
    status: FlowSchemaStatus = always(FlowSchemaStatus)
