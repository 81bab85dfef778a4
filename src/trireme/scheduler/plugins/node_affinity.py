"""NodeAffinity: nodeSelector and node affinity, required and preferred."""

from __future__ import annotations

import re

import numpy as np

from trireme.api.core.v1.pod.scheduling import NodeAffinity
from trireme.api.core.v1.selection import NodeSelectorRequirement, NodeSelectorTerm
from trireme.scheduler.framework import Floats, Plugin, PodInfo, Unschedulable, normalised
from trireme.scheduler.snapshot.columns import MISSING, NAME, Bools, View

REASON = "node(s) didn't match Pod's node affinity/selector"
_INTEGER = re.compile(r"[+-]?[0-9]+\Z", re.ASCII).match


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes that do not match the pod's nodeSelector or required terms."""
    matching = required(view, pod_info)
    return None if matching is None else [Unschedulable(~matching, REASON, unresolvable=True)]


def required(view: View, pod_info: PodInfo) -> Bools | None:
    """The nodes that a pod may be on by its selector and required terms; None: all."""
    spec = pod_info.pod.spec
    affinity = _affinity(pod_info)
    terms = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    if not spec.nodeSelector and terms is None:
        return None
    matches = np.ones(view.size, np.bool_)
    for key, value in spec.nodeSelector.items():
        matches &= view.label(key) == view.columns.interned(key, value)
    if terms is not None:
        any_term = np.zeros(view.size, np.bool_)
        for term in terms.nodeSelectorTerms:
            any_term |= term_matches(view, term)
        matches &= any_term
    return matches


def score(view: View, pod_info: PodInfo, feasible: Bools | None) -> Floats | None:
    """The weights of the preferred terms that a node matches."""
    affinity = _affinity(pod_info)
    preferred = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else []
    if not preferred or feasible is None:
        return None
    weights = np.zeros(view.size, np.float64)
    for item in preferred:
        if item.weight:
            weights += item.weight * term_matches(view, item.preference)
    return normalised(weights, feasible)


def term_matches(view: View, term: NodeSelectorTerm) -> Bools:
    """The nodes that match all of a term; a term without requirements matches none."""
    if not term.matchExpressions and not term.matchFields:
        return np.zeros(view.size, np.bool_)
    matches = np.ones(view.size, np.bool_)
    for requirement in term.matchExpressions:
        matches &= _requirement(view, requirement, requirement.key)
    for requirement in term.matchFields:
        # The only field that validation allows.
        matches &= _requirement(view, requirement, NAME)
    return matches


def _requirement(view: View, requirement: NodeSelectorRequirement, key: str) -> Bools:
    operator = requirement.operator
    column = view.label(key)
    present: Bools = column != MISSING
    if operator == "Exists":
        return present
    if operator == "DoesNotExist":
        return ~present
    if operator in ("In", "NotIn"):
        listed = np.isin(
            column, [view.columns.interned(key, value) for value in requirement.values]
        )
        return present & listed if operator == "In" else ~listed
    if operator in ("Gt", "Lt"):
        bound = _integer(requirement.values[0] if requirement.values else "")
        if bound is None:
            return np.zeros(view.size, np.bool_)
        numbers = [_integer(text) for text in view.columns.texts(key)]
        good = [
            number
            for number, value in enumerate(numbers)
            if value is not None and (value > bound if operator == "Gt" else value < bound)
        ]
        return present & np.isin(column, good)
    return np.zeros(view.size, np.bool_)


def _affinity(pod_info: PodInfo) -> NodeAffinity | None:
    affinity = pod_info.pod.spec.affinity
    return affinity.nodeAffinity if affinity is not None else None


def _integer(text: str) -> int | None:
    """A whole number of 64 bits as labels write it, else None."""
    if not _INTEGER(text):
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


PLUGIN = Plugin("NodeAffinity", filter=refuse, score=score, local_score=False)
