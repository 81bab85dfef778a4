"""Types of node: see the API reference, core/v1."""

from __future__ import annotations

from trireme.api import addresses, columns
from trireme.api.core.v1 import node_rules
from trireme.api.core.v1.node_types import (
    Node,
)
from trireme.machinery import field
from trireme.machinery.resource import Column, Resource, Subresource, status

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
    """Fields without effect; networks that are not in canonical form."""
    found: list[str] = []
    if new.spec.configSource is not None:
        found.append("spec.configSource: the feature is removed")
    if new.spec.externalID:
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for position, text in enumerate(new.spec.podCIDRs):
        found += addresses.cidr_warnings(field.path("spec", "podCIDRs").index(position), text)
    return found


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


def _status(obj: Node) -> str:
    ready = {item.type: item.status for item in obj.status.conditions}.get("Ready")
    text = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if obj.spec.unschedulable else text


def _kernel(obj: Node) -> str:
    info = obj.status.nodeInfo
    kernel = info.kernelVersion or columns.UNKNOWN
    return f"{kernel} ({info.architecture})" if info.architecture else kernel


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
    columns=(
        columns.NAME,
        Column("Status", _status, "Whether the node is ready and takes new pods."),
        Column(
            "Roles",
            lambda obj: ",".join(roles(obj)),
            "What the node is for, by its labels.",
            empty=columns.NONE,
        ),
        columns.AGE,
        Column("Version", "status.nodeInfo.kubeletVersion", "The kubelet's version."),
        Column(
            "Internal-IP",
            lambda obj: _address(obj, "InternalIP"),
            "Its address inside the cluster.",
            priority=1,
        ),
        Column(
            "External-IP",
            lambda obj: _address(obj, "ExternalIP"),
            "Its address outside the cluster.",
            priority=1,
        ),
        Column(
            "OS-Image",
            "status.nodeInfo.osImage",
            "The operating system's name and version.",
            priority=1,
            empty=columns.UNKNOWN,
        ),
        Column("Kernel-Version", _kernel, "The kernel and its architecture.", priority=1),
        Column(
            "Container-Runtime",
            "status.nodeInfo.containerRuntimeVersion",
            "The runtime and its version.",
            priority=1,
            empty=columns.UNKNOWN,
        ),
    ),
    selectable={"spec.unschedulable": lambda obj: "true" if obj.spec.unschedulable else "false"},
)
