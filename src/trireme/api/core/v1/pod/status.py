"""Types of status: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.pod.probes import Signal
from trireme.api.core.v1.pod.resources import ResourceRequirements, ResourceStatus
from trireme.machinery.types import (
    Atomic,
    Enum,
    Int32,
    Int64,
    ListSet,
    Merge,
    Quantity,
    Required,
    RetainKeys,
    Struct,
    Time,
    always,
    listmap,
    null,
)

PodQOSClass = Annotated[str, Enum(("Guaranteed", "Burstable", "BestEffort"))]


class ContainerExtendedResourceRequest(Struct):
    containerName: Annotated[str, Required()] = always(str)
    resourceName: Annotated[str, Required()] = always(str)
    requestName: Annotated[str, Required()] = always(str)


class ContainerStateRunning(Struct):
    startedAt: Time | None = null()


class ContainerStateTerminated(Struct):
    exitCode: Annotated[Int32, Required()] = always(int)
    signal: Int32 = 0
    reason: str = ""
    message: str = ""
    startedAt: Time | None = null()
    finishedAt: Time | None = null()
    containerID: str = ""


class ContainerStateWaiting(Struct):
    reason: str = ""
    message: str = ""


class ContainerState(Struct):
    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class LinuxContainerUser(Struct):
    uid: Annotated[Int64, Required()] = always(int)
    gid: Annotated[Int64, Required()] = always(int)
    supplementalGroups: Annotated[list[Int64], Atomic()] = []


class ContainerUser(Struct):
    linux: LinuxContainerUser | None = None


class ImageVolumeStatus(Struct):
    imageRef: Annotated[str, Required()] = ""


class VolumeStatus(Struct):
    image: ImageVolumeStatus | None = None


class VolumeMountStatus(Struct):
    name: Annotated[str, Required()] = always(str)
    mountPath: Annotated[str, Required()] = always(str)
    readOnly: bool = False
    recursiveReadOnly: str | None = None
    volumeStatus: VolumeStatus | None = None


class ContainerStatus(Struct):
    name: Annotated[str, Required()] = always(str)
    state: ContainerState = always(ContainerState)
    lastState: ContainerState = always(ContainerState)
    ready: Annotated[bool, Required()] = always(bool)
    restartCount: Annotated[Int32, Required()] = always(int)
    image: Annotated[str, Required()] = always(str)
    imageID: Annotated[str, Required()] = always(str)
    containerID: str = ""
    started: bool | None = None
    allocatedResources: dict[str, Quantity] = {}
    resources: ResourceRequirements | None = None
    volumeMounts: Annotated[list[VolumeMountStatus], listmap("mountPath"), Merge("mountPath")] = []
    user: ContainerUser | None = None
    allocatedResourcesStatus: Annotated[list[ResourceStatus], listmap("name"), Merge("name")] = []
    stopSignal: Signal | None = None


class HostIP(Struct):
    ip: Annotated[str, Required()] = always(str)


class NodeAllocatableResourceClaimStatus(Struct):
    resourceClaimName: Annotated[str, Required()] = always(str)
    containers: Annotated[list[str], ListSet()] = []
    resources: Annotated[dict[str, Quantity], Required()] = always(dict)


class PodCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    observedGeneration: Int64 = 0
    status: Annotated[str, Required()] = always(str)
    lastProbeTime: Time | None = null()
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class PodExtendedResourceClaimStatus(Struct):
    requestMappings: Annotated[list[ContainerExtendedResourceRequest], Required(), Atomic()] = (
        always(list)
    )
    resourceClaimName: Annotated[str, Required()] = always(str)


class PodIP(Struct):
    ip: Annotated[str, Required()] = always(str)


class PodResourceClaimStatus(Struct):
    name: Annotated[str, Required()] = always(str)
    resourceClaimName: str | None = None


class PodStatus(Struct):
    observedGeneration: Int64 = 0
    phase: str = ""
    conditions: Annotated[list[PodCondition], listmap("type"), Merge("type")] = []
    message: str = ""
    reason: str = ""
    nominatedNodeName: str = ""
    hostIP: str = ""
    hostIPs: Annotated[list[HostIP], Atomic(), Merge("ip")] = []
    podIP: str = ""
    podIPs: Annotated[list[PodIP], listmap("ip"), Merge("ip")] = []
    startTime: Time | None = None
    initContainerStatuses: Annotated[list[ContainerStatus], Atomic()] = []
    containerStatuses: Annotated[list[ContainerStatus], Atomic()] = []
    qosClass: PodQOSClass = ""
    ephemeralContainerStatuses: Annotated[list[ContainerStatus], Atomic()] = []
    resize: str = ""
    resourceClaimStatuses: Annotated[
        list[PodResourceClaimStatus], listmap("name"), Merge("name"), RetainKeys()
    ] = []
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus | None = None
    allocatedResources: dict[str, Quantity] = {}
    resources: ResourceRequirements | None = None
    nodeAllocatableResourceClaimStatuses: Annotated[
        list[NodeAllocatableResourceClaimStatus], Atomic()
    ] = []
