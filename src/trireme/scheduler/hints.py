"""Queueing hints: which cluster events may make an unschedulable pod schedulable. Pure.

In: a node or a pod before and after a change. Out: the plugins whose statuses may no longer hold. A
pod that none of these plugins refused stays in the unschedulable queue. Upstream: KEP-4247.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.domain.scheduling_requests import Request

ALL_OF_A_NODE = frozenset(
    {
        "NodeUnschedulable",
        "NodeName",
        "TaintToleration",
        "NodeAffinity",
        "NodePorts",
        "NodeResourcesFit",
        "PodTopologySpread",
        "InterPodAffinity",
        "VolumeRestrictions",
        "NodeVolumeLimits",
        "VolumeBinding",
        "VolumeZone",
        "DynamicResources",
    }
)
VOLUMES_CHANGED = frozenset(
    {"VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"}
)
NAMESPACE_CHANGED = frozenset({"InterPodAffinity"})
NODE_DELETED = frozenset({"PodTopologySpread"})
POD_ADDED = frozenset({"PodTopologySpread", "InterPodAffinity"})
POD_DELETED = frozenset(
    {
        "NodePorts",
        "NodeResourcesFit",
        "PodTopologySpread",
        "InterPodAffinity",
        "VolumeRestrictions",
        "NodeVolumeLimits",
    }
)


def of_node(old: Node | None, new: Node) -> frozenset[str]:
    """The plugins that may no longer refuse pods after a node was added or changed."""
    if old is None:
        return ALL_OF_A_NODE
    found: set[str] = set()
    if old.spec.unschedulable and not new.spec.unschedulable:
        found.add("NodeUnschedulable")
    if old.spec.taints != new.spec.taints:
        found |= {"TaintToleration", "NodeUnschedulable", "PodTopologySpread"}
    if old.metadata.labels != new.metadata.labels:
        found |= {
            "NodeAffinity",
            "PodTopologySpread",
            "InterPodAffinity",
            "VolumeBinding",
            "VolumeZone",
        }
    if old.status.allocatable != new.status.allocatable:
        found.add("NodeResourcesFit")
    return frozenset(found)


def of_pod(old: Pod, new: Pod, before: Request, after: Request) -> frozenset[str]:
    """The plugins that may no longer refuse pods after a pod on a node changed.

    ``before``, ``after``: what it takes of its node.
    """
    found: set[str] = set()
    if old.metadata.labels != new.metadata.labels:
        found |= POD_ADDED
    if old.metadata.deletionTimestamp is None and new.metadata.deletionTimestamp is not None:
        found.add("PodTopologySpread")
    if before is not after and any(
        after.resources.get(name, 0) < amount for name, amount in before.resources.items()
    ):
        found.add("NodeResourcesFit")
    return frozenset(found)
