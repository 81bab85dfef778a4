"""The pods of a DaemonSet: on which nodes they run, what they are made from. Pure.

A pod is made for its node: by a required affinity for the node's name, which the scheduler follows.
It tolerates what a node in trouble is tainted with. Called by ``plan``. Upstream:
pkg/controller/daemon/util;
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trireme.api.apps.v1.daemonset import TEMPLATE_GENERATION, DaemonSet
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import Affinity, NodeAffinity
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.core.v1.selection import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Taint,
    Toleration,
)
from trireme.controllers.workloads import compute_pod
from trireme.domain import node_match, tolerations
from trireme.machinery import intstr

HASH = "controller-revision-hash"
GENERATION = "pod-template-generation"
_NAME = "metadata.name"
_NO_EXECUTE, _NO_SCHEDULE = "NoExecute", "NoSchedule"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", _NO_EXECUTE),
    ("node.kubernetes.io/unreachable", _NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", _NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", _NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", _NO_SCHEDULE),
    ("node.kubernetes.io/unschedulable", _NO_SCHEDULE),
)
_ON_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", _NO_SCHEDULE)


class Fit(msgspec.Struct, frozen=True):
    """Whether a node gets a pod, and whether one that it has may stay."""

    runs: bool
    stays: bool


class Placement:
    """The nodes of a DaemonSet; made once for many nodes."""

    def __init__(self, daemon_set: DaemonSet) -> None:
        self._spec = daemon_set.spec.template.spec
        self._tolerations = tolerations_of(daemon_set)

    def fit(self, node: Node) -> Fit:
        """Whether the node fits."""
        name = node.metadata.name
        if self._spec.nodeName not in ("", name):
            return Fit(False, False)
        if not node_match.matches(self._spec, name, node.metadata.labels):
            return Fit(False, False)
        untolerated = {taint.effect for taint in node.spec.taints if self._is_untolerated(taint)}
        return Fit(not untolerated & {_NO_EXECUTE, _NO_SCHEDULE}, _NO_EXECUTE not in untolerated)

    def _is_untolerated(self, taint: Taint) -> bool:
        return not tolerations.tolerates(self._tolerations, taint)


def tolerations_of(daemon_set: DaemonSet) -> list[Toleration]:
    """Those of the template, and those of every DaemonSet."""
    spec = daemon_set.spec.template.spec
    added = [*_TOLERATED, *([_ON_HOST_NETWORK] if spec.hostNetwork else [])]
    found = list(spec.tolerations)
    for key, effect in added:
        toleration = Toleration(key=key, operator="Exists", effect=effect)
        same = [
            position
            for position, item in enumerate(found)
            if (item.key, item.operator, item.effect, item.value) == (key, "Exists", effect, "")
        ]
        if same:
            # Without an end, whatever the template says.
            found[same[0]] = toleration
        else:
            found.append(toleration)
    return found


def template_of(daemon_set: DaemonSet, revision_hash: str) -> PodTemplateSpec:
    """What its pods have in common."""
    template = daemon_set.spec.template
    labels = {**template.metadata.labels, HASH: revision_hash}
    generation = generation_of(daemon_set)
    if generation:
        labels[GENERATION] = generation
    return msgspec.structs.replace(
        template,
        metadata=msgspec.structs.replace(template.metadata, labels=labels),
        spec=msgspec.structs.replace(template.spec, tolerations=tolerations_of(daemon_set)),
    )


def pod_of(daemon_set: DaemonSet, template: PodTemplateSpec, node: str) -> Pod:
    """The pod for a node, made from what ``template_of`` says."""
    pod = compute_pod.pod_of(daemon_set, template)
    affinity = _bound_to(template.spec.affinity, node)
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, affinity=affinity))


def _bound_to(affinity: Affinity | None, node: str) -> Affinity:
    """The affinity with this node as the only one that is required; whether the node matches what
    was required before is known."""
    field = NodeSelectorRequirement(key=_NAME, operator="In", values=[node])
    required = NodeSelector(nodeSelectorTerms=[NodeSelectorTerm(matchFields=[field])])
    known = affinity or Affinity()
    by_node = msgspec.structs.replace(
        known.nodeAffinity or NodeAffinity(),
        requiredDuringSchedulingIgnoredDuringExecution=required,
    )
    return msgspec.structs.replace(known, nodeAffinity=by_node)


def node_of(pod: Pod) -> str:
    """The node that the pod is on, or was made for; "" where that is not known."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    required = node_match.required_terms(pod.spec)
    for term in required.nodeSelectorTerms if required is not None else ():
        for field in term.matchFields:
            if field.key == _NAME and field.operator == "In":
                return field.values[0] if len(field.values) == 1 else ""
    return ""


def generation_of(daemon_set: DaemonSet) -> str:
    """The count of templates, as the pods' label has it; "" where there is none."""
    text = daemon_set.metadata.annotations.get(TEMPLATE_GENERATION, "")
    return str(int(text)) if text.isascii() and text.isdigit() else ""


def is_updated(daemon_set: DaemonSet, pod: Pod, revision_hash: str) -> bool:
    """Whether the pod is made from the present template."""
    labels, generation = pod.metadata.labels, generation_of(daemon_set)
    by_generation = bool(generation) and labels.get(GENERATION) == generation
    return by_generation or labels.get(HASH) == revision_hash


def oldest_first(pods: Iterable[Pod]) -> list[Pod]:
    """Those on a node first, then by age."""
    return sorted(
        pods,
        key=lambda p: (
            not p.spec.nodeName,
            p.metadata.creationTimestamp or "",
            p.metadata.name,
        ),
    )


def surge(daemon_set: DaemonSet, nodes: int) -> int:
    """How many nodes may have an old and a new pod."""
    rolling = daemon_set.spec.updateStrategy.rollingUpdate
    if daemon_set.spec.updateStrategy.type != "RollingUpdate" or rolling is None:
        return 0
    return intstr.resolve(rolling.maxSurge or 0, nodes, round_up=True)


def max_unavailable(daemon_set: DaemonSet, nodes: int) -> int:
    """How many nodes may be without an available pod during an update."""
    rolling = daemon_set.spec.updateStrategy.rollingUpdate
    if daemon_set.spec.updateStrategy.type != "RollingUpdate" or rolling is None:
        return 0
    return intstr.resolve(rolling.maxUnavailable or 0, nodes, round_up=True)
