"""Which events may help a pod that was refused: pure, by plugin.

In: a node or a pod as it was and as it is. Out: the plugins whose statuses may no longer hold. An
event that events none of a pod's statuses leaves it where it is. Upstream: queueing hints,
KEP-4247.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod

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
    }
)
NAMESPACE_CHANGED = frozenset({"InterPodAffinity"})
NODE_WENT = frozenset({"PodTopologySpread"})
POD_CAME = frozenset({"PodTopologySpread", "InterPodAffinity"})
POD_WENT = frozenset({"NodePorts", "NodeResourcesFit", "PodTopologySpread", "InterPodAffinity"})


def of_node(old: Node | None, new: Node) -> frozenset[str]:
    """What a new or changed node may help."""
    if old is None:
        return ALL_OF_A_NODE
    found: set[str] = set()
    if old.spec.unschedulable and not new.spec.unschedulable:
        found.add("NodeUnschedulable")
    if old.spec.taints != new.spec.taints:
        found |= {"TaintToleration", "NodeUnschedulable", "PodTopologySpread"}
    if old.metadata.labels != new.metadata.labels:
        found |= {"NodeAffinity", "PodTopologySpread", "InterPodAffinity"}
    if old.status.allocatable != new.status.allocatable:
        found.add("NodeResourcesFit")
    return frozenset(found)


def of_pod(old: Pod, new: Pod) -> frozenset[str]:
    """What a changed pod on a node may help."""
    found: set[str] = set()
    if old.metadata.labels != new.metadata.labels:
        found |= POD_CAME
    if old.metadata.deletionTimestamp is None and new.metadata.deletionTimestamp is not None:
        found.add("PodTopologySpread")
    if [c.resources for c in old.spec.containers] != [c.resources for c in new.spec.containers]:
        found.add("NodeResourcesFit")
    return frozenset(found)
