"""InterPodAffinity: run in, or outside of, the topology domains of pods that match a selector.

A term selects pods (selector, namespaces) and has a topology key. Nodes with the same value of the
key are one domain. Three things refuse a node: the pod's required affinity and anti-affinity, and
the required anti-affinity of existing pods. Rules: https://kubernetes.io/docs/concepts/
scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity.
"""

from __future__ import annotations

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.domain.affinity_terms import Term
from trireme.scheduler.framework import MOST, Floats, Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import MISSING, Bools, Ints, View
from trireme.scheduler.snapshot.counts import ANY_NAMESPACE
from trireme.scheduler.snapshot.terms import TermType

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
# The weight of an existing pod's required affinity that matches the pod to be scheduled.
HARD_WEIGHT = 1


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes that required terms exclude, each with the first reason of the three."""
    terms = view.columns.terms.of(pod_info.pod)
    affinity = [term for type_, _, term in terms if type_ is TermType.REQUIRED_AFFINITY]
    anti_affinity = [term for type_, _, term in terms if type_ is TermType.REQUIRED_ANTI_AFFINITY]
    statuses = []
    left = np.ones(view.size, np.bool_)
    if affinity:
        apart = ~_satisfying(view, affinity, pod_info)
        statuses.append(Unschedulable(apart, AFFINITY, unresolvable=True))
        left &= ~apart
    if anti_affinity:
        crowded = np.zeros(view.size, np.bool_)
        for term in anti_affinity:
            crowded |= _spread(view, term.topology_key, _matching(view, [term], pod_info)) > 0
        statuses.append(Unschedulable(crowded & left, ANTI_AFFINITY))
        left &= ~crowded
    for existing in view.columns.terms.existing():
        if existing.type_ is TermType.REQUIRED_ANTI_AFFINITY and existing.term.matches(
            pod_info.pod, pod_info.namespaces
        ):
            here = _spread(view, existing.term.topology_key, existing.counts[view.rows]) > 0
            statuses.append(Unschedulable(here & left, EXISTING))
            left &= ~here
    return statuses


def score(view: View, pod_info: PodInfo, feasible: Bools | None) -> Floats | float | None:
    """Preferred terms of the pod and of existing pods, and required affinity of the latter."""
    pod = pod_info.pod
    # By topology key, so that each is summed up over its domains once.
    weights: dict[str, Ints] = {}

    def weigh(key: str, scores: Ints) -> None:
        weights[key] = weights[key] + scores if key in weights else scores

    for type_, weight, term in view.columns.terms.of(pod):
        if type_ in (TermType.PREFERRED_AFFINITY, TermType.PREFERRED_ANTI_AFFINITY):
            sign = 1 if type_ is TermType.PREFERRED_AFFINITY else -1
            weigh(term.topology_key, sign * weight * _matching(view, [term], pod_info))
    for existing in view.columns.terms.existing():
        if existing.type_ is not TermType.REQUIRED_ANTI_AFFINITY and existing.term.matches(
            pod, pod_info.namespaces
        ):
            weight = {
                TermType.REQUIRED_AFFINITY: HARD_WEIGHT,
                TermType.PREFERRED_AFFINITY: existing.weight,
            }.get(existing.type_, -existing.weight)
            weigh(existing.term.topology_key, weight * existing.counts[view.rows])
    if not weights or feasible is None or not feasible.any():
        return None
    raw = np.zeros(view.size, np.float64)
    for key, scores in weights.items():
        raw += _spread(view, key, scores)
    most, least = float(raw[feasible].max()), float(raw[feasible].min())
    if most == least:
        return None
    return np.floor(MOST * ((raw - least) / (most - least)))


def _satisfying(view: View, terms: list[Term], pod_info: PodInfo) -> Bools:
    """The nodes whose domains have, for every term, an existing pod that matches all terms."""
    counts = _matching(view, terms, pod_info)
    keyed = np.ones(view.size, np.bool_)
    good = np.ones(view.size, np.bool_)
    hosted = False
    for term in terms:
        domains = view.label(term.topology_key)
        keyed &= domains != MISSING
        good &= _spread(view, term.topology_key, counts) > 0
        hosted = hosted or bool(counts[domains != MISSING].any())
    if not hosted and all(term.matches(pod_info.pod, pod_info.namespaces) for term in terms):
        # The first pod of a group whose affinity selects the group itself has none to match.
        return keyed
    return good & keyed


def _matching(view: View, terms: list[Term], pod_info: PodInfo) -> Ints:
    """The number of pods on each node that match all terms."""
    namespaces = pod_info.namespaces

    def matches(pod: Pod) -> bool:
        return all(term.matches(pod, namespaces) for term in terms)

    if all(term.is_fixed for term in terms):
        key = ("affinity", tuple(term.key for term in terms))
        return view.columns.matching(key, matches, ANY_NAMESPACE, terms[0].selector)
    # Namespace labels change without an event for the pods: never cached.
    counts = np.zeros(view.size, np.int64)
    for pod, row in view.columns.pods():
        if matches(pod):
            counts[row] += 1
    return counts


def _spread(view: View, key: str, scores: Ints) -> Floats:
    """For each node the sum over all nodes in its domain; 0 where it has none."""
    domains = view.label(key)
    width = int(domains.max(initial=0)) + 2
    # Weights make doubles of the sums, which numpy's types do not say.
    sums = np.bincount(domains + 1, scores, width).astype(np.float64, copy=False)
    # Index 0 is for nodes without the topology key.
    sums[0] = 0.0
    return sums[domains + 1]


PLUGIN = Plugin(
    "InterPodAffinity", filter=refuse, score=score, local_filter=False, local_score=False
)
