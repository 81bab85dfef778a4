"""What webhooks and policies apply to: types that the kinds of this group share."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.types import Atomic, Default, Enum, Required, Struct, always, atomic

FailurePolicy = Annotated[str, Enum(("Fail", "Ignore"))]
MatchPolicy = Annotated[str, Enum(("Equivalent", "Exact"))]
Operation = Annotated[str, Enum(("*", "CONNECT", "CREATE", "DELETE", "UPDATE"))]
Scope = Annotated[str, Enum(("*", "Cluster", "Namespaced"))]


class RuleWithOperations(Struct):
    operations: Annotated[list[Operation], Atomic()] = []
    apiGroups: Annotated[list[str], Atomic()] = []
    apiVersions: Annotated[list[str], Atomic()] = []
    resources: Annotated[list[str], Atomic()] = []
    scope: Annotated[Scope | None, Default("*")] = None


@atomic
class NamedRuleWithOperations(Struct):
    resourceNames: Annotated[list[str], Atomic()] = []
    operations: Annotated[list[Operation], Atomic()] = []
    apiGroups: Annotated[list[str], Atomic()] = []
    apiVersions: Annotated[list[str], Atomic()] = []
    resources: Annotated[list[str], Atomic()] = []
    scope: Annotated[Scope | None, Default("*")] = None


@atomic
class MatchResources(Struct):
    namespaceSelector: meta.LabelSelector | None = None
    objectSelector: meta.LabelSelector | None = None
    resourceRules: Annotated[list[NamedRuleWithOperations], Atomic()] = []
    excludeResourceRules: Annotated[list[NamedRuleWithOperations], Atomic()] = []
    matchPolicy: Annotated[MatchPolicy | None, Default("Equivalent")] = None


class MatchCondition(Struct):
    name: Annotated[str, Required()] = always(str)
    expression: Annotated[str, Required()] = always(str)


@atomic
class ParamKind(Struct):
    apiVersion: str = ""
    kind: str = ""


@atomic
class ParamRef(Struct):
    name: str = ""
    namespace: str = ""
    selector: meta.LabelSelector | None = None
    parameterNotFoundAction: str | None = None


@atomic
class Variable(Struct):
    name: Annotated[str, Required()] = always(str)
    expression: Annotated[str, Required()] = always(str)


def default_resources(match: MatchResources | None) -> None:
    """Selectors that are left out select everything."""
    if match is None:
        return
    if match.namespaceSelector is None:
        match.namespaceSelector = meta.LabelSelector()
    if match.objectSelector is None:
        match.objectSelector = meta.LabelSelector()
