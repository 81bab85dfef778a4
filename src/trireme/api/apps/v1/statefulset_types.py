"""Types of statefulset: see the API reference, apps/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    Int64,
    IntOrString,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

PodManagementPolicyType = Annotated[str, Enum(("OrderedReady", "Parallel"))]
StatefulSetUpdateStrategyType = Annotated[str, Enum(("OnDelete", "RollingUpdate"))]


class StatefulSetOrdinals(Struct):
    start: Int32 = always(int)


class StatefulSetPersistentVolumeClaimRetentionPolicy(Struct):
    whenDeleted: Annotated[str, Default("Retain")] = ""
    whenScaled: Annotated[str, Default("Retain")] = ""


class RollingUpdateStatefulSetStrategy(Struct):
    partition: Int32 | None = None
    maxUnavailable: IntOrString | None = None


class StatefulSetUpdateStrategy(Struct):
    type: StatefulSetUpdateStrategyType = ""
    rollingUpdate: RollingUpdateStatefulSetStrategy | None = None


class StatefulSetSpec(Struct):
    replicas: Annotated[Int32 | None, Default(1)] = None
    selector: Annotated[meta.LabelSelector | None, Required()] = null()
    template: Annotated[PodTemplateSpec, Required()] = always(PodTemplateSpec)
    volumeClaimTemplates: Annotated[list[PersistentVolumeClaim], Atomic()] = []
    serviceName: str = always(str)
    podManagementPolicy: Annotated[PodManagementPolicyType, Default("OrderedReady")] = ""
    updateStrategy: StatefulSetUpdateStrategy = always(StatefulSetUpdateStrategy)
    revisionHistoryLimit: Annotated[Int32 | None, Default(10)] = None
    minReadySeconds: Int32 = 0
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = (
        None
    )
    ordinals: StatefulSetOrdinals | None = None


class StatefulSetCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class StatefulSetStatus(Struct):
    observedGeneration: Int64 = 0
    replicas: Annotated[Int32, Required()] = always(int)
    readyReplicas: Int32 = 0
    currentReplicas: Int32 = 0
    updatedReplicas: Int32 = 0
    currentRevision: str = ""
    updateRevision: str = ""
    collisionCount: Int32 | None = None
    conditions: Annotated[list[StatefulSetCondition], listmap("type"), Merge("type")] = []
    availableReplicas: Int32 = always(int)


class StatefulSet(Struct):
    kind: str = constant("StatefulSet")
    apiVersion: str = constant("apps/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: StatefulSetSpec = always(StatefulSetSpec)
    status: StatefulSetStatus = always(StatefulSetStatus)
