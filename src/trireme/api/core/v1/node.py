"""Types of node: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated, Any

from trireme.api import addresses, columns
from trireme.api.core.v1 import node_rules
from trireme.api.core.v1.selection import Taint
from trireme.machinery import field, meta
from trireme.machinery.resource import Column, Resource, Subresource, status
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


COLUMNS = (
    columns.NAME,
    Column("Status", description="Whether the node is ready and takes new pods."),
    Column("Roles", description="What the node is for, by its labels."),
    columns.AGE,
    Column("Version", description="The kubelet's version."),
    Column("Internal-IP", priority=1, description="Its address inside the cluster."),
    Column("External-IP", priority=1, description="Its address outside the cluster."),
    Column("OS-Image", priority=1, description="The operating system's name and version."),
    Column("Kernel-Version", priority=1, description="The kernel and its architecture."),
    Column("Container-Runtime", priority=1, description="The runtime and its version."),
)
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def defaults(obj: Node) -> None:
    """Allocatable is the capacity; ``podCIDR`` is the first of ``podCIDRs``."""
    spec, status = obj.spec, obj.status
    if not status.allocatable and status.capacity:
        status.allocatable = dict(status.capacity)
    if spec.podCIDR and (not spec.podCIDRs or spec.podCIDRs[0] != spec.podCIDR):
        spec.podCIDRs = [spec.podCIDR]
    if spec.podCIDRs:
        spec.podCIDR = spec.podCIDRs[0]


def prepare_create(new: Node) -> None:
    """Configuration by the API server is a removed feature; its field is dropped."""
    new.spec.configSource = None
    new.status.config = None


def prepare_update(new: Node, old: Node) -> None:
    """As on create, unless the old object has the field."""
    if old.spec.configSource is None:
        new.spec.configSource = None


def prepare_status(new: Node, old: Node) -> None:
    """As on create, unless the old object has the field."""
    if old.status.config is None:
        new.status.config = None


def warnings(new: Node, _old: Node | None) -> list[str]:
    """Fields that nothing reads; networks in a form that is not the usual one."""
    found: list[str] = []
    if new.spec.configSource is not None:
        found.append("spec.configSource: the feature is removed")
    if new.spec.externalID:
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for position, text in enumerate(new.spec.podCIDRs):
        found += addresses.cidr_warnings(field.path("spec", "podCIDRs").index(position), text)
    return found


def row(obj: Node, now: float) -> list[Any]:
    """The cells of one Node."""
    info = obj.status.nodeInfo
    ready = {item.type: item.status for item in obj.status.conditions}.get("Ready")
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if obj.spec.unschedulable:
        words.append("SchedulingDisabled")
    kernel = info.kernelVersion or columns.UNKNOWN
    return [
        obj.metadata.name,
        ",".join(words),
        ",".join(roles(obj)) or columns.NONE,
        columns.age(obj.metadata, now),
        info.kubeletVersion,
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.osImage or columns.UNKNOWN,
        f"{kernel} ({info.architecture})" if info.architecture else kernel,
        info.containerRuntimeVersion or columns.UNKNOWN,
    ]


def roles(obj: Node) -> list[str]:
    """The node's roles, sorted."""
    found = set()
    for label, value in obj.metadata.labels.items():
        role = label.removeprefix(_ROLE_PREFIX) if label.startswith(_ROLE_PREFIX) else ""
        if role or (label == _ROLE_LABEL and value):
            found.add(role or value)
    return sorted(found)


def _address(obj: Node, kind: str) -> str:
    return next((item.address for item in obj.status.addresses if item.type == kind), columns.NONE)


RESOURCE = Resource(
    type=Node,
    plural="nodes",
    namespaced=False,
    short_names=("no",),
    subresources=(
        Subresource(
            "proxy", ("create", "delete", "get", "patch", "update"), kind="NodeProxyOptions"
        ),
        status(),
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    validate=node_rules.create,
    validate_update=node_rules.update,
    validate_status=node_rules.status,
    warnings=warnings,
    status_on_create=True,
    columns=COLUMNS,
    row=row,
    selectable={"spec.unschedulable": lambda obj: "true" if obj.spec.unschedulable else "false"},
)
