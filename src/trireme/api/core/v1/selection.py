"""Types of selection: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Atomic, Enum, Int64, Required, Struct, Time, always, atomic

NodeSelectorOperator = Annotated[str, Enum(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))]
TolerationOperator = Annotated[str, Enum(("Exists", "Equal", "Lt", "Gt"))]
TaintEffect = Annotated[str, Enum(("NoSchedule", "PreferNoSchedule", "NoExecute"))]
ResourceQuotaScope = Annotated[
    str,
    Enum(
        (
            "Terminating",
            "NotTerminating",
            "BestEffort",
            "NotBestEffort",
            "PriorityClass",
            "CrossNamespacePodAffinity",
            "VolumeAttributesClass",
        )
    ),
]
ScopeSelectorOperator = Annotated[str, Enum(("In", "NotIn", "Exists", "DoesNotExist"))]


class NodeSelectorRequirement(Struct):
    key: Annotated[str, Required()] = always(str)
    operator: Annotated[NodeSelectorOperator, Required()] = always(str)
    values: Annotated[list[str], Atomic()] = []


@atomic
class NodeSelectorTerm(Struct):
    matchExpressions: Annotated[list[NodeSelectorRequirement], Atomic()] = []
    matchFields: Annotated[list[NodeSelectorRequirement], Atomic()] = []


@atomic
class NodeSelector(Struct):
    nodeSelectorTerms: Annotated[list[NodeSelectorTerm], Required(), Atomic()] = always(list)


class Toleration(Struct):
    key: str = ""
    operator: TolerationOperator = ""
    value: str = ""
    effect: TaintEffect = ""
    tolerationSeconds: Int64 | None = None


class Taint(Struct):
    key: Annotated[str, Required()] = always(str)
    value: str = ""
    effect: Annotated[TaintEffect, Required()] = always(str)
    timeAdded: Time | None = None


class ScopedResourceSelectorRequirement(Struct):
    scopeName: Annotated[ResourceQuotaScope, Required()] = always(str)
    operator: Annotated[ScopeSelectorOperator, Required()] = always(str)
    values: Annotated[list[str], Atomic()] = []


@atomic
class ScopeSelector(Struct):
    matchExpressions: Annotated[list[ScopedResourceSelectorRequirement], Atomic()] = []
