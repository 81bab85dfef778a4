"""Which group grows by how many nodes for pods that fit nowhere. Pure.

In: a snapshot of the cluster, the pods, the groups. Out: ``ScaleUp``, or the reasons why no group
helps. Pods are packed onto nodes that would be new, the largest first; an expander picks one of the
groups that help. Upstream: cluster-autoscaler core/scaleup, estimator, expander.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.cloud.autoscaler.compute_fit import NodeState, Search, Snapshot
from trireme.cloud.autoscaler.settings import EXPANDERS
from trireme.cloud.contract import NodeGroup
from trireme.domain import pods as of_pods

AT_MAXIMUM: Final = "max node group size reached"
IN_BACKOFF: Final = "in backoff after failed scale-up"
_HOSTNAME: Final = "kubernetes.io/hostname"


class Option(NamedTuple):
    """What a group could do: ``delta`` nodes for ``pods``; ``waste`` is the idle share of their
    CPU, and of their memory."""

    group: NodeGroup
    delta: int
    pods: list[Pod]
    waste: tuple[float, float]


class Result(NamedTuple):
    """The option that was picked, if any, and for each pod that no group helps how many groups
    refuse it for which reason."""

    option: Option | None
    refused: list[tuple[Pod, Counter[str]]]


def is_unschedulable(pod: Pod) -> bool:
    """Whether the scheduler found no node for the pod."""
    found = of_pods.condition(pod, "PodScheduled")
    return (
        not pod.spec.nodeName
        and of_pods.is_active(pod)
        and found is not None
        and (found.status, found.reason) == ("False", "Unschedulable")
    )


def place(snapshot: Snapshot, pods: Sequence[Pod]) -> list[Pod]:
    """Put pods where they fit in the snapshot, by priority; returns those that fit nowhere."""
    left = []
    search = Search(snapshot, list(snapshot.nodes.values()))
    for pod in sorted(pods, key=lambda pod: -(pod.spec.priority or 0)):
        state = search.find(pod)
        if state is None:
            left.append(pod)
        else:
            snapshot.add(pod, state)
    return left


def from_template(template: Node, name: str) -> Node:
    """A node that is not there yet."""
    labels = {**template.metadata.labels, _HOSTNAME: name}
    metadata = msgspec.structs.replace(template.metadata, name=name, labels=labels)
    return msgspec.structs.replace(template, metadata=metadata)


def copy_for(daemon: Pod, node: str) -> Pod:
    """The pod of a DaemonSet on a node that is not there yet."""
    metadata = msgspec.structs.replace(daemon.metadata, uid=f"{daemon.metadata.uid}/{node}")
    return msgspec.structs.replace(daemon, metadata=metadata)


def plan(
    snapshot: Snapshot,
    pods: Sequence[Pod],
    groups: Sequence[NodeGroup],
    *,
    daemons: Sequence[Pod] = (),
    blocked: Mapping[str, str] | None = None,
    room: int | None = None,
    expander: str = EXPANDERS[0],
    luck: float = 0.0,
) -> Result:
    """``pods`` fit nowhere in the snapshot, which is left as it is. ``daemons`` are pods that run
    on every node that they fit. ``blocked``: groups that cannot grow, and why. ``room``: how many
    nodes the cluster may still get. ``luck``, below 1, is what the expander random goes by."""
    options: list[Option] = []
    refused = {pod.metadata.uid: Counter[str]() for pod in pods}
    for group in groups:
        reason = (blocked or {}).get(group.id, "")
        most = group.max_size - group.target_size
        if not reason and (most <= 0 or room == 0):
            reason = AT_MAXIMUM
        if reason:
            for counts in refused.values():
                counts[reason] += 1
            continue
        most = most if room is None else min(most, room)
        packing = _Packing(snapshot, group, daemons, most)
        option = packing.option(pods)
        for uid, text in packing.refused.items():
            refused[uid][text] += 1
        if option is not None:
            options.append(option)
    picked = _pick(options, expander, luck)
    helped = {pod.metadata.uid for option in options for pod in option.pods}
    return Result(
        picked, [(pod, refused[pod.metadata.uid]) for pod in pods if pod.metadata.uid not in helped]
    )


class _Packing:
    """First fit, the largest pod first, onto new nodes of one group."""

    def __init__(
        self, snapshot: Snapshot, group: NodeGroup, daemons: Sequence[Pod], most: int
    ) -> None:
        self._snapshot = snapshot
        self._group = group
        self._daemons = daemons
        self._most = most
        self._new: list[NodeState] = []
        self._search = Search(snapshot, self._new)
        self.refused: dict[str, str] = {}

    def option(self, pods: Sequence[Pod]) -> Option | None:
        helped = [pod for pod in sorted(pods, key=self._size, reverse=True) if self._place(pod)]
        option = Option(self._group, len(self._new), helped, _waste(self._new))
        for state in self._new:
            self._snapshot.remove_node(state.name)
        return option if helped else None

    def _size(self, pod: Pod) -> float:
        allocatable = NodeState(self._group.template).allocatable
        asked = self._snapshot.request(pod).resources
        return sum(
            asked.get(name, 0) / allocatable[name]
            for name in ("cpu", "memory")
            if allocatable.get(name)
        )

    def _place(self, pod: Pod) -> bool:
        state = self._search.find(pod)
        if state is None:
            if len(self._new) >= self._most:
                self.refused[pod.metadata.uid] = AT_MAXIMUM
                return False
            state = self._add()
            reason = self._snapshot.refusal(pod, state)
            if reason:
                self.refused[pod.metadata.uid] = reason
                self._new.pop()
                self._snapshot.remove_node(state.name)
                return False
        self._snapshot.add(pod, state)
        return True

    def _add(self) -> NodeState:
        name = f"template-node-for-{self._group.id}-{len(self._new)}"
        state = self._snapshot.add_node(from_template(self._group.template, name))
        for daemon in self._daemons:
            own = copy_for(daemon, name)
            if not self._snapshot.refusal(own, state):
                self._snapshot.add(own, state)
        self._new.append(state)
        return state


def _waste(states: Sequence[NodeState]) -> tuple[float, float]:
    def idle(name: str) -> float:
        there = sum(state.allocatable.get(name, 0) for state in states)
        asked = sum(state.requested.get(name, 0) for state in states)
        return (there - asked) / there if there else 0.0

    return idle("cpu"), idle("memory")


def _pick(options: Sequence[Option], expander: str, luck: float) -> Option | None:
    if not options:
        return None
    match expander:
        case "least-waste":
            return min(options, key=lambda one: (sum(one.waste), one.group.id))
        case "most-pods":
            return min(options, key=lambda one: (-len(one.pods), one.group.id))
        case "least-nodes":
            return min(options, key=lambda one: (one.delta, one.group.id))
        case "random":
            return options[int(luck * len(options))]
    raise ValueError(f"expander {expander!r}: must be one of {', '.join(EXPANDERS)}")


def reasons(counts: Counter[str]) -> str:
    """``2 Insufficient cpu, 1 max node group size reached``, as in upstream's event."""
    return ", ".join(f"{count} {text}" for text, count in sorted(counts.items()))
