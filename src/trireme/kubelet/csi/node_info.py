"""What the Node and the CSINode say of a node's CSI drivers. Pure.

In: the objects as they are, a driver's answer. Out: changes. Called by ``csi/registration``.
Upstream: pkg/volume/csi/nodeinfomanager; https://kubernetes.io/docs/concepts/storage/volumes/#csi.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from trireme.api.core import v1 as core
from trireme.api.storage import v1 as storage
from trireme.kubelet.csi.contract import NodeInfo
from trireme.machinery import meta

NODE_IDS = "csi.volume.kubernetes.io/nodeid"


class Conflict(ValueError):
    """The node has another value for a topology label."""


def node_patch(node: core.Node, driver: str, info: NodeInfo | None) -> dict[str, Any] | None:
    """A merge patch of the Node's annotation and topology labels; ``None``: nothing to change.
    ``info`` ``None``: the driver is gone, its labels stay. Raises ``Conflict``."""
    text = node.metadata.annotations.get(NODE_IDS, "")
    ids: dict[str, str] = json.loads(text) if text else {}
    labels: dict[str, str] = {}
    if info is None:
        ids.pop(driver, None)
    else:
        ids[driver] = info.node_id
        for key, value in info.topology.items():
            known = node.metadata.labels.get(key)
            if known is None:
                labels[key] = value
            elif known != value:
                raise Conflict(f"detected topology value collision: driver reported {key!r}:"
                               f"{value!r} but existing label is {key!r}:{known!r}")  # fmt: skip
    new = json.dumps(ids, separators=(",", ":"), sort_keys=True) if ids else None
    changes: dict[str, Any] = {}
    if new != (text or None):
        changes["annotations"] = {NODE_IDS: new}
    if labels:
        changes["labels"] = labels
    return {"metadata": changes} if changes else None


def csi_node(node: core.Node) -> storage.CSINode:
    """The CSINode of a node without drivers."""
    made = storage.CSINode()
    made.metadata.name = node.metadata.name
    made.metadata.ownerReferences = [
        meta.OwnerReference(
            apiVersion="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid
        )
    ]
    return made


def with_driver(
    known: storage.CSINode, driver: str, info: NodeInfo | None
) -> storage.CSINode | None:
    """``known`` with what a driver says, or without the driver; ``None``: as it is already."""
    present = known.spec.drivers or []
    drivers = others = [item for item in present if item.name != driver]
    if info is not None:
        limit = storage.VolumeNodeResources(count=info.limit) if info.limit > 0 else None
        made = storage.CSINodeDriver(
            name=driver,
            nodeID=info.node_id,
            topologyKeys=sorted(info.topology) or None,
            allocatable=limit,
        )
        if made in present:
            return None
        drivers = [*others, made]
    elif len(others) == len(present):
        return None
    return msgspec.structs.replace(known, spec=storage.CSINodeSpec(drivers=drivers))
