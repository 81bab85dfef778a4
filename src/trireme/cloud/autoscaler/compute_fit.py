"""Whether a pod fits a node, by the filters of the scheduler's default profile but for those about
volumes. Pure.

In: nodes with their pods. Out: the first filter that refuses, in the scheduler's words. The
scheduler has the same over all nodes at once; the autoscaler asks for nodes that are not there.
``tests/cloud/test_fit.py`` compares it with the scheduler's reference.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import PodAffinityTerm, TopologySpreadConstraint
from trireme.api.core.v1.selection import Taint
from trireme.domain import node_match, owners, scheduling_requests, tolerations
from trireme.domain.affinity_terms import Term
from trireme.domain.scheduling_requests import Request
from trireme.machinery import labels, selection

_CORDON = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
_REVISION = "controller-revision-hash"
_SPREAD = "node(s) didn't match pod topology spread constraints"


class NodeState:
    """A node and its pods. ``requested`` is what they request together."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.metadata.name
        self.labels = node.metadata.labels
        self.allocatable = scheduling_requests.resources(
            node.status.allocatable or node.status.capacity
        )
        self.pods: dict[str, Pod] = {}
        self.requested: dict[str, int] = {}


class Snapshot:
    """Nodes with their pods, to be changed at will. ``namespaces`` are the labels of namespaces."""

    def __init__(self, namespaces: Mapping[str, dict[str, str]]) -> None:
        self.nodes: dict[str, NodeState] = {}
        self._namespaces = namespaces
        self._requests: dict[str, Request] = {}
        # Pods with required anti-affinity, which refuse others.
        self._repelling: dict[str, tuple[Pod, str]] = {}

    def add_node(self, node: Node, pods: Iterable[Pod] = ()) -> NodeState:
        """A further node, with pods that are there."""
        state = self.nodes[node.metadata.name] = NodeState(node)
        for pod in pods:
            self.add(pod, state)
        return state

    def remove_node(self, name: str) -> list[Pod]:
        """Take a node away; returns its pods."""
        state = self.nodes[name]
        pods = list(state.pods.values())
        for pod in pods:
            self.remove(pod, state)
        del self.nodes[name]
        return pods

    def add(self, pod: Pod, state: NodeState) -> None:
        """Put a pod on a node, whether it fits or not."""
        state.pods[pod.metadata.uid] = pod
        for name, value in self.request(pod).resources.items():
            state.requested[name] = state.requested.get(name, 0) + value
        if _required(pod, anti=True):
            self._repelling[pod.metadata.uid] = pod, state.name

    def remove(self, pod: Pod, state: NodeState) -> None:
        """Take a pod from a node."""
        del state.pods[pod.metadata.uid]
        for name, value in self.request(pod).resources.items():
            state.requested[name] -= value
        self._repelling.pop(pod.metadata.uid, None)

    def request(self, pod: Pod) -> Request:
        """What the pod requests."""
        uid = pod.metadata.uid
        if uid not in self._requests:
            self._requests[uid] = scheduling_requests.of(pod)
        return self._requests[uid]

    def refusal(self, pod: Pod, state: NodeState) -> str:
        """Why the pod does not fit the node, "" where it does."""
        spec, node = pod.spec, state.node
        if node.spec.unschedulable and not tolerations.tolerates(spec.tolerations, _CORDON):
            return "node(s) were unschedulable"
        if spec.nodeName and spec.nodeName != state.name:
            return "node(s) didn't match the requested node name"
        if _untolerated(pod, node):
            return "node(s) had untolerated taint(s)"
        if not node_match.matches(spec, state.name, state.labels):
            return "node(s) didn't match Pod's node affinity/selector"
        return (
            self._ports(pod, state)
            or self._room(pod, state)
            or self._spread(pod, state)
            or self._affinity(pod, state)
        )

    def _ports(self, pod: Pod, state: NodeState) -> str:
        for protocol, address, port in self.request(pod).ports:
            for other in state.pods.values():
                for theirs in self.request(other).ports:
                    alike = "0.0.0.0" in (address, theirs[1]) or address == theirs[1]
                    if (theirs[0], theirs[2]) == (protocol, port) and alike:
                        return "node(s) didn't have free ports for the requested pod ports"
        return ""

    def _room(self, pod: Pod, state: NodeState) -> str:
        if len(state.pods) + 1 > state.allocatable.get("pods", 0):
            return "Too many pods"
        for name, value in sorted(self.request(pod).resources.items()):
            if value > state.allocatable.get(name, 0) - state.requested.get(name, 0):
                return f"Insufficient {name}"
        return ""

    def _spread(self, pod: Pod, state: NodeState) -> str:
        hard = [
            item
            for item in pod.spec.topologySpreadConstraints
            if item.whenUnsatisfiable == "DoNotSchedule"
        ]
        if any(item.topologyKey not in state.labels for item in hard):
            return f"{_SPREAD} (missing required label)"
        for item in hard:
            selector = _selector(pod, item)
            sums: dict[str, int] = {}
            for other in self.nodes.values():
                keyed = all(one.topologyKey in other.labels for one in hard)
                if keyed and _counts(item, pod, other.node):
                    domain = other.labels[item.topologyKey]
                    sums[domain] = sums.get(domain, 0) + _matching(other, selector, pod)
            least = min(sums.values(), default=0)
            if len(sums) < (item.minDomains or 1):
                least = 0
            own = int(selector.matches(pod.metadata.labels))
            if sums.get(state.labels[item.topologyKey], 0) + own - least > item.maxSkew:
                return _SPREAD
        return ""

    def _affinity(self, pod: Pod, state: NodeState) -> str:
        near = [Term(term, pod) for term in _required(pod, anti=False)]
        if near and not self._is_near(pod, state, near):
            return "node(s) didn't match pod affinity rules"
        for required in _required(pod, anti=True):
            if self._has(Term(required, pod), state):
                return "node(s) didn't match pod anti-affinity rules"
        for owner, name in self._repelling.values():
            place = self.nodes[name]
            for required in _required(owner, anti=True):
                if _same_domain(required.topologyKey, state, place) and self._means(
                    Term(required, owner), pod
                ):
                    return "node(s) didn't satisfy existing pods anti-affinity rules"
        return ""

    def _is_near(self, pod: Pod, state: NodeState, terms: list[Term]) -> bool:
        if not all(term.topology_key in state.labels for term in terms):
            return False
        hosts = [
            other
            for other in self.nodes.values()
            if any(all(self._means(t, one) for t in terms) for one in other.pods.values())
        ]
        if all(any(_same_domain(t.topology_key, state, host) for host in hosts) for t in terms):
            return True
        # The first of a group that is to be together may be anywhere.
        nobody = not any(t.topology_key in host.labels for host in hosts for t in terms)
        return nobody and all(self._means(term, pod) for term in terms)

    def _has(self, term: Term, state: NodeState) -> bool:
        """Whether there is such a pod in the node's domain."""
        return any(
            self._means(term, other)
            for place in self.nodes.values()
            if _same_domain(term.topology_key, state, place)
            for other in place.pods.values()
        )

    def _means(self, term: Term, pod: Pod) -> bool:
        return term.matches(pod, self._namespaces)


class Search:
    """The first of ``nodes`` that a pod fits; pods are only added meanwhile. ``nodes`` may grow.

    For pods that are alike it goes on where it found a place for the last one: before that there
    was none, and none comes.
    """

    def __init__(self, snapshot: Snapshot, nodes: Sequence[NodeState]) -> None:
        self._snapshot = snapshot
        self._nodes = nodes
        self._start: dict[Hashable, int] = {}

    def find(self, pod: Pod) -> NodeState | None:
        """None where it fits none of them."""
        alike = _alike(pod)
        place = self._start.get(alike, 0) if alike is not None else 0
        while place < len(self._nodes) and self._snapshot.refusal(pod, self._nodes[place]):
            place += 1
        if alike is not None:
            self._start[alike] = place
        return self._nodes[place] if place < len(self._nodes) else None


def _alike(pod: Pod) -> Hashable:
    """Equal for pods that fit the same nodes; None for one whose place other pods can make."""
    owner = owners.controller_uid(pod.metadata)
    if not owner or pod.spec.topologySpreadConstraints or _required(pod, anti=False):
        return None
    return owner, pod.metadata.labels.get(_REVISION, ""), pod.spec.priority


def _same_domain(key: str, one: NodeState, other: NodeState) -> bool:
    value = one.labels.get(key)
    return value is not None and value == other.labels.get(key)


def _required(pod: Pod, *, anti: bool) -> list[PodAffinityTerm]:
    affinity = pod.spec.affinity
    if affinity is None:
        return []
    side = affinity.podAntiAffinity if anti else affinity.podAffinity
    return side.requiredDuringSchedulingIgnoredDuringExecution if side is not None else []


def _untolerated(pod: Pod, node: Node) -> bool:
    return any(
        taint.effect in ("NoSchedule", "NoExecute")
        and not tolerations.tolerates(pod.spec.tolerations, taint)
        for taint in node.spec.taints
    )


def _selector(pod: Pod, item: TopologySpreadConstraint) -> labels.Selector:
    own = pod.metadata.labels
    more = [
        labels.requirement(key, selection.IN, (own[key],))
        for key in item.matchLabelKeys
        if key in own
    ]
    return labels.from_struct(item.labelSelector).add(*more)


def _counts(item: TopologySpreadConstraint, pod: Pod, node: Node) -> bool:
    """Whether the node's pods count for the constraint."""
    if item.nodeAffinityPolicy != "Ignore" and not node_match.matches(
        pod.spec, node.metadata.name, node.metadata.labels
    ):
        return False
    return item.nodeTaintsPolicy != "Honor" or not _untolerated(pod, node)


def _matching(state: NodeState, selector: labels.Selector, pod: Pod) -> int:
    if selector.empty():
        return 0
    return sum(
        other.metadata.namespace == pod.metadata.namespace
        and other.metadata.deletionTimestamp is None
        and selector.matches(other.metadata.labels)
        for other in state.pods.values()
    )
