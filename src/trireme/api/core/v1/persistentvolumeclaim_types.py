"""Types of persistentvolumeclaim: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.references import TypedLocalObjectReference, TypedObjectReference
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Granular,
    Merge,
    Quantity,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

PersistentVolumeAccessMode = Annotated[
    str, Enum(("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"))
]
PersistentVolumeMode = Annotated[str, Enum(("Block", "Filesystem"))]
PersistentVolumeClaimModifyVolumeStatus = Annotated[
    str, Enum(("Pending", "InProgress", "Infeasible"))
]
PersistentVolumeClaimPhase = Annotated[str, Enum(("Pending", "Bound", "Lost"))]
ClaimResourceStatus = Annotated[
    str,
    Enum(
        (
            "ControllerResizeInProgress",
            "ControllerResizeInfeasible",
            "NodeResizePending",
            "NodeResizeInProgress",
            "NodeResizeInfeasible",
        )
    ),
]


class VolumeResourceRequirements(Struct):
    limits: dict[str, Quantity] = {}
    requests: dict[str, Quantity] = {}


class PersistentVolumeClaimSpec(Struct):
    accessModes: Annotated[list[PersistentVolumeAccessMode], Atomic()] = []
    selector: meta.LabelSelector | None = None
    resources: VolumeResourceRequirements = always(VolumeResourceRequirements)
    volumeName: str = ""
    storageClassName: str | None = None
    volumeMode: Annotated[PersistentVolumeMode | None, Default("Filesystem")] = None
    dataSource: TypedLocalObjectReference | None = None
    dataSourceRef: TypedObjectReference | None = None
    volumeAttributesClassName: str | None = None


class PersistentVolumeClaimTemplate(Struct):
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, Required()] = always(PersistentVolumeClaimSpec)


class ModifyVolumeStatus(Struct):
    targetVolumeAttributesClassName: str = ""
    status: Annotated[PersistentVolumeClaimModifyVolumeStatus, Required()] = always(str)


class PersistentVolumeClaimCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastProbeTime: Time | None = null()
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class PersistentVolumeClaimStatus(Struct):
    phase: Annotated[PersistentVolumeClaimPhase, Default("Pending")] = ""
    accessModes: Annotated[list[PersistentVolumeAccessMode], Atomic()] = []
    capacity: dict[str, Quantity] = {}
    conditions: Annotated[list[PersistentVolumeClaimCondition], listmap("type"), Merge("type")] = []
    allocatedResources: dict[str, Quantity] = {}
    allocatedResourceStatuses: Annotated[dict[str, ClaimResourceStatus], Granular()] = {}
    currentVolumeAttributesClassName: str | None = None
    modifyVolumeStatus: ModifyVolumeStatus | None = None


class PersistentVolumeClaim(Struct):
    kind: str = constant("PersistentVolumeClaim")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: PersistentVolumeClaimSpec = always(PersistentVolumeClaimSpec)
    status: PersistentVolumeClaimStatus = always(PersistentVolumeClaimStatus)
