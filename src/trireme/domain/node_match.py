"""Whether a node is one that a pod has to run on: node selectors and required node affinity. Pure.

For the kubelet's admission and DaemonSets; the scheduler has the same over all nodes at once
(``scheduler/plugins/node_affinity``). Upstream: component-helpers scheduling/corev1/nodeaffinity;
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.selection import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
)

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}\Z", re.ASCII).match


def matches(spec: PodSpec, name: str, labels: Mapping[str, str]) -> bool:
    """Whether the node has the labels of the node selector, and those of a required term."""
    if any(labels.get(key) != value for key, value in spec.nodeSelector.items()):
        return False
    required = required_terms(spec)
    return required is None or any(_term(t, name, labels) for t in required.nodeSelectorTerms)


def required_terms(spec: PodSpec) -> NodeSelector | None:
    """The terms of which a node has to match one; None where there are none."""
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    if affinity is None:
        return None
    return affinity.requiredDuringSchedulingIgnoredDuringExecution


def _term(term: NodeSelectorTerm, name: str, labels: Mapping[str, str]) -> bool:
    if not term.matchExpressions and not term.matchFields:
        return False
    return all(_matches(item, labels) for item in term.matchExpressions) and all(
        _matches(item, {"metadata.name": name}) for item in term.matchFields
    )


def _matches(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement.key), requirement.values
    match requirement.operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            if not values or not _INTEGER(value or "") or not _INTEGER(values[0]):
                return False
            number, bound = int(value or ""), int(values[0])
            return number > bound if requirement.operator == "Gt" else number < bound
    return False
