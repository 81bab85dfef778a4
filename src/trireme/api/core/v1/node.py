"""Types of node: see the API reference, core/v1."""

from __future__ import annotations

from typing import Any

from trireme.api import addresses, columns
from trireme.api.core.v1 import node_rules
from trireme.api.core.v1.node_types import (
    Node,
)
from trireme.machinery import field
from trireme.machinery.resource import Column, Resource, Subresource, status

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
