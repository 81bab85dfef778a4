"""Which nodes are not needed: little is requested there, and its pods fit elsewhere. Pure.

In: a snapshot of the cluster, budgets, the groups. Out: nodes that can go, with the pods that must
move first, and why others cannot; how long they have been so decides when. Upstream:
cluster-autoscaler core/scaledown, simulator/drainability; its FAQ on what prevents a removal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.cloud import taints
from trireme.cloud.autoscaler.compute_fit import NodeState, Search, Snapshot
from trireme.cloud.autoscaler.settings import Settings
from trireme.cloud.contract import NodeGroup
from trireme.domain import disruption, owners, pod_references
from trireme.domain import pods as of_pods

SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SAFE_VOLUMES: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
DISABLED: Final = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
DAEMON: Final = "cluster-autoscaler.kubernetes.io/daemonset-pod"
_REPLICATED: Final = ("ReplicationController", "ReplicaSet", "Job", "StatefulSet")


class Removal(NamedTuple):
    """A node that can go once ``pods`` are evicted."""

    node: Node
    pods: list[Pod]
    utilization: float


class Plan(NamedTuple):
    """``unremovable``: the reason by node, for nodes of groups only."""

    removals: list[Removal]
    unremovable: dict[str, str]


def utilization(state: NodeState) -> float:
    """The larger of the shares of CPU and memory that are requested."""
    return max(
        (
            state.requested.get(name, 0) / state.allocatable[name]
            for name in ("cpu", "memory")
            if state.allocatable.get(name)
        ),
        default=0.0,
    )


def plan(
    snapshot: Snapshot,
    candidates: Iterable[str],
    budgets: Mapping[str, Sequence[PodDisruptionBudget]],
    settings: Settings,
) -> Plan:
    """Which of the candidates, nodes of groups, can go together: the emptiest first. What remains
    in the snapshot is the cluster without them. ``budgets`` are by namespace."""
    removals: list[Removal] = []
    unremovable: dict[str, str] = {}
    # As they are: in the simulation they get pods of nodes that go.
    states = [snapshot.nodes[name] for name in candidates if name in snapshot.nodes]
    real = [(utilization(state), state.name, list(state.pods.values())) for state in states]
    left = _Budgets(budgets)
    for used, name, own in sorted(real, key=lambda one: one[:2]):
        state = snapshot.nodes[name]
        evicted: list[Pod] = []
        reason = _keeps(state.node)
        if not reason and used >= settings.utilization:
            reason = "utilization is above the threshold"
        if not reason:
            evicted, reason = movable(own, left, settings)
        if not reason:
            staying = {pod.metadata.uid for pod in own}
            guests = [pod for uid, pod in state.pods.items() if uid not in staying]
            reason = _move(snapshot, state, [*evicted, *guests])
        if reason:
            unremovable[name] = reason
        else:
            left.take(evicted)
            removals.append(Removal(state.node, evicted, used))
    return Plan(removals, unremovable)


def _keeps(node: Node) -> str:
    if node.metadata.annotations.get(DISABLED) == "true":
        return "scale down is disabled by its annotation"
    if any(taint.key == taints.TO_BE_DELETED for taint in node.spec.taints):
        return "it is being deleted"
    return ""


def movable(pods: Iterable[Pod], budgets: _Budgets, settings: Settings) -> tuple[list[Pod], str]:
    """The pods that must be evicted for their node to go, or what keeps the node."""
    found = []
    for pod in pods:
        if _goes_with_node(pod):
            continue
        reason = keeps_node(pod, budgets.has(pod), settings)
        if reason:
            return [], f"{reason}: {pod.metadata.namespace}/{pod.metadata.name}"
        found.append(pod)
    blocked = budgets.blocking(found)
    if blocked is not None:
        return [], f"not enough pod disruption budget: {blocked}"
    return found, ""


def _goes_with_node(pod: Pod) -> bool:
    """Whether nobody needs to move it."""
    controller = owners.controller_of(pod.metadata)
    return (
        pod_references.is_mirror(pod)
        or (controller is not None and controller.kind == "DaemonSet")
        or pod.metadata.annotations.get(DAEMON) == "true"
        or of_pods.is_finished(pod)
    )


def keeps_node(pod: Pod, has_budget: bool, settings: Settings) -> str:
    """Why the pod's node may not go, "" where the pod may move."""
    safe = pod.metadata.annotations.get(SAFE_TO_EVICT, "")
    if safe == "true":
        return ""
    if safe == "false":
        return "pod annotated as not safe to evict"
    controller = owners.controller_of(pod.metadata)
    if controller is None:
        return "pod is not replicated"
    if settings.skip_custom_controllers and controller.kind not in _REPLICATED:
        return f"pod is controlled by a {controller.kind}"
    if settings.skip_system_pods and pod.metadata.namespace == "kube-system" and not has_budget:
        return "system pod without a pod disruption budget"
    if settings.skip_local_storage and _has_local_storage(pod):
        return "pod with local storage"
    return ""


def _has_local_storage(pod: Pod) -> bool:
    safe = {text.strip() for text in pod.metadata.annotations.get(SAFE_VOLUMES, "").split(",")}
    return any(
        volume.name not in safe
        and (
            volume.hostPath is not None
            or (volume.emptyDir is not None and volume.emptyDir.medium != "Memory")
        )
        for volume in pod.spec.volumes
    )


class _Budgets:
    """What budgets still allow, as nodes are planned to go."""

    def __init__(self, budgets: Mapping[str, Sequence[PodDisruptionBudget]]) -> None:
        self._budgets = budgets
        self._taken: dict[str, int] = {}

    def has(self, pod: Pod) -> bool:
        return bool(self._of(pod))

    def _of(self, pod: Pod) -> list[PodDisruptionBudget]:
        return disruption.guarding(pod, self._budgets.get(pod.metadata.namespace, ()))

    def blocking(self, pods: Sequence[Pod]) -> str | None:
        """The budget that does not allow all these evictions."""
        needed: dict[str, int] = {}
        for pod in pods:
            for budget in self._of(pod):
                uid = budget.metadata.uid
                needed[uid] = needed.get(uid, 0) + 1
                if self._taken.get(uid, 0) + needed[uid] > budget.status.disruptionsAllowed:
                    return f"{budget.metadata.namespace}/{budget.metadata.name}"
        return None

    def take(self, pods: Sequence[Pod]) -> None:
        for pod in pods:
            for budget in self._of(pod):
                uid = budget.metadata.uid
                self._taken[uid] = self._taken.get(uid, 0) + 1


def _move(snapshot: Snapshot, state: NodeState, pods: Sequence[Pod]) -> str:
    """Take the node from the snapshot and place its pods elsewhere; put all back where one does
    not fit."""
    before = snapshot.remove_node(state.name)
    placed: list[tuple[Pod, NodeState]] = []
    search = Search(snapshot, list(snapshot.nodes.values()))
    for pod in pods:
        target = search.find(_unbound(pod))
        if target is None:
            for other, place in placed:
                snapshot.remove(other, place)
            snapshot.add_node(state.node, before)
            return f"no place for pod {pod.metadata.namespace}/{pod.metadata.name}"
        snapshot.add(pod, target)
        placed.append((pod, target))
    return ""


def _unbound(pod: Pod) -> Pod:
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, nodeName=""))


def due(
    removals: Sequence[Removal],
    groups: Sequence[NodeGroup],
    group_of: Mapping[str, str],
    waited: Mapping[str, float],
    unready: set[str],
    busy: tuple[int, int],
    settings: Settings,
) -> list[Removal]:
    """The nodes to delete now. ``group_of``: the group by node. ``waited``: the seconds for which a
    node has not been needed. ``busy``: how many are being deleted, and how many of them drained."""
    spare = {group.id: group.target_size - group.min_size for group in groups}
    deleting, draining = busy
    found = []
    for removal in removals:
        name = removal.node.metadata.name
        needed = settings.unready_time if name in unready else settings.unneeded_time
        group = group_of[name]
        drains = bool(removal.pods)
        if waited.get(name, 0.0) < needed or spare.get(group, 0) <= 0:
            continue
        if deleting >= settings.parallel or (drains and draining >= settings.parallel_drain):
            continue
        spare[group] -= 1
        deleting += 1
        draining += drains
        found.append(removal)
    return found
