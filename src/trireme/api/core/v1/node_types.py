"""Types of Node: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.selection import Taint
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Enum,
    Int32,
    Int64,
    ListSet,
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

NodePhase = Annotated[str, Enum(("Pending", "Running", "Terminated"))]


class AttachedVolume(Struct):
    name: Annotated[str, Required()] = always(str)
    devicePath: Annotated[str, Required()] = always(str)


class ConfigMapNodeConfigSource(Struct):
    namespace: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    uid: str = ""
    resourceVersion: str = ""
    kubeletConfigKey: Annotated[str, Required()] = always(str)


class ContainerImage(Struct):
    names: Annotated[list[str], Atomic()] = always(list)
    sizeBytes: Int64 = 0


class DaemonEndpoint(Struct):
    Port: Annotated[Int32, Required()] = always(int)


class NodeConfigSource(Struct):
    configMap: ConfigMapNodeConfigSource | None = None


class NodeSpec(Struct):
    podCIDR: str = ""
    podCIDRs: Annotated[list[str], ListSet(), Merge()] = []
    providerID: str = ""
    unschedulable: bool = False
    taints: Annotated[list[Taint], Atomic()] = []
    configSource: NodeConfigSource | None = None
    externalID: str = ""


class NodeAddress(Struct):
    type: Annotated[str, Required()] = always(str)
    address: Annotated[str, Required()] = always(str)


class NodeCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastHeartbeatTime: Time | None = null()
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class NodeConfigStatus(Struct):
    assigned: NodeConfigSource | None = None
    active: NodeConfigSource | None = None
    lastKnownGood: NodeConfigSource | None = None
    error: str = ""


class NodeDaemonEndpoints(Struct):
    kubeletEndpoint: DaemonEndpoint = always(DaemonEndpoint)


class NodeFeatures(Struct):
    supplementalGroupsPolicy: bool | None = None


class NodeRuntimeHandlerFeatures(Struct):
    recursiveReadOnlyMounts: bool | None = None
    userNamespaces: bool | None = None


class NodeRuntimeHandler(Struct):
    name: str = always(str)
    features: NodeRuntimeHandlerFeatures | None = None


class NodeSwapStatus(Struct):
    capacity: Int64 | None = None


class NodeSystemInfo(Struct):
    machineID: Annotated[str, Required()] = always(str)
    systemUUID: Annotated[str, Required()] = always(str)
    bootID: Annotated[str, Required()] = always(str)
    kernelVersion: Annotated[str, Required()] = always(str)
    osImage: Annotated[str, Required()] = always(str)
    containerRuntimeVersion: Annotated[str, Required()] = always(str)
    kubeletVersion: Annotated[str, Required()] = always(str)
    kubeProxyVersion: Annotated[str, Required()] = always(str)
    operatingSystem: Annotated[str, Required()] = always(str)
    architecture: Annotated[str, Required()] = always(str)
    swap: NodeSwapStatus | None = None


class NodeStatus(Struct):
    capacity: dict[str, Quantity] = {}
    allocatable: dict[str, Quantity] = {}
    phase: NodePhase = ""
    conditions: Annotated[list[NodeCondition], listmap("type"), Merge("type")] = []
    addresses: Annotated[list[NodeAddress], listmap("type"), Merge("type")] = []
    daemonEndpoints: NodeDaemonEndpoints = always(NodeDaemonEndpoints)
    nodeInfo: NodeSystemInfo = always(NodeSystemInfo)
    images: Annotated[list[ContainerImage], Atomic()] = []
    volumesInUse: Annotated[list[str], Atomic()] = []
    volumesAttached: Annotated[list[AttachedVolume], Atomic()] = []
    config: NodeConfigStatus | None = None
    runtimeHandlers: Annotated[list[NodeRuntimeHandler], Atomic()] = []
    features: NodeFeatures | None = None
    declaredFeatures: Annotated[list[str], Atomic()] = []


class Node(Struct):
    kind: str = constant("Node")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: NodeSpec = always(NodeSpec)
    status: NodeStatus = always(NodeStatus)
