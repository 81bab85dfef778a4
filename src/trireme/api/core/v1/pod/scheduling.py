"""Types of scheduling: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.selection import NodeSelector, NodeSelectorTerm
from trireme.machinery import meta
from trireme.machinery.types import Atomic, Enum, Int32, Required, Struct, always

UnsatisfiableConstraintAction = Annotated[str, Enum(("DoNotSchedule", "ScheduleAnyway"))]
NodeInclusionPolicy = Annotated[str, Enum(("Honor", "Ignore"))]


class PreferredSchedulingTerm(Struct):
    weight: Annotated[Int32, Required()] = always(int)
    preference: Annotated[NodeSelectorTerm, Required()] = always(NodeSelectorTerm)


class NodeAffinity(Struct):
    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = None
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        list[PreferredSchedulingTerm], Atomic()
    ] = []


class PodAffinityTerm(Struct):
    labelSelector: meta.LabelSelector | None = None
    namespaces: Annotated[list[str], Atomic()] = []
    topologyKey: Annotated[str, Required()] = always(str)
    namespaceSelector: meta.LabelSelector | None = None
    matchLabelKeys: Annotated[list[str], Atomic()] = []
    mismatchLabelKeys: Annotated[list[str], Atomic()] = []


class WeightedPodAffinityTerm(Struct):
    weight: Annotated[Int32, Required()] = always(int)
    podAffinityTerm: Annotated[PodAffinityTerm, Required()] = always(PodAffinityTerm)


class PodAffinity(Struct):
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm], Atomic()] = []
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        list[WeightedPodAffinityTerm], Atomic()
    ] = []


class PodAntiAffinity(Struct):
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm], Atomic()] = []
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        list[WeightedPodAffinityTerm], Atomic()
    ] = []


class Affinity(Struct):
    nodeAffinity: NodeAffinity | None = None
    podAffinity: PodAffinity | None = None
    podAntiAffinity: PodAntiAffinity | None = None


class PodSchedulingGate(Struct):
    name: Annotated[str, Required()] = always(str)


class PodSchedulingGroup(Struct):
    podGroupName: str | None = None


class TopologySpreadConstraint(Struct):
    maxSkew: Annotated[Int32, Required()] = always(int)
    topologyKey: Annotated[str, Required()] = always(str)
    whenUnsatisfiable: Annotated[UnsatisfiableConstraintAction, Required()] = always(str)
    labelSelector: meta.LabelSelector | None = None
    minDomains: Int32 | None = None
    nodeAffinityPolicy: NodeInclusionPolicy | None = None
    nodeTaintsPolicy: NodeInclusionPolicy | None = None
    matchLabelKeys: Annotated[list[str], Atomic()] = []
