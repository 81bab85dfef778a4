"""InterPodAffinity: run near to, or away from, pods that match a selector.

A term names pods (selector, namespaces) and a topology key. Nodes with the same value of the key
are one domain. Three things refuse a node: the pod's own required affinity and anti-affinity, and
the anti-affinity of pods that are there already. Rules: https://kubernetes.io/docs/concepts/
scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity.
"""

from __future__ import annotations

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.scheduler.framework import MOST, Floats, Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import MISSING, Bools, Ints, View
from trireme.scheduler.snapshot.counts import ANY_NAMESPACE
from trireme.scheduler.snapshot.terms import Term, Wish

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
# What a pod's required affinity counts for when it means the pod to be placed.
HARD_WEIGHT = 1


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes that required terms exclude. A node tells of the first of the three that it
    breaks."""
    terms = view.columns.terms.of(pod_info.pod)
    near = [term for wish, _, term in terms if wish is Wish.NEAR]
    away = [term for wish, _, term in terms if wish is Wish.AWAY]
    statuses = []
    left = np.ones(view.size, np.bool_)
    if near:
        apart = ~_together(view, near, pod_info)
        statuses.append(Unschedulable(apart, AFFINITY, unresolvable=True))
        left &= ~apart
    if away:
        crowded = np.zeros(view.size, np.bool_)
        for term in away:
            crowded |= _spread(view, term.topology_key, _matching(view, [term], pod_info)) > 0
        statuses.append(Unschedulable(crowded & left, ANTI_AFFINITY))
        left &= ~crowded
    for held in view.columns.terms.held():
        if held.wish is Wish.AWAY and held.term.matches(pod_info.pod, pod_info.namespaces):
            here = _spread(view, held.term.topology_key, held.counts[view.rows]) > 0
            statuses.append(Unschedulable(here & left, EXISTING))
            left &= ~here
    return statuses


def score(view: View, pod_info: PodInfo, feasible: Bools | None) -> Floats | float | None:
    """Preferred terms of the pod and of the pods that are there, and their required affinity."""
    pod = pod_info.pod
    # By topology key, so that each is summed up over its domains once.
    weights: dict[str, Ints] = {}

    def weigh(key: str, scores: Ints) -> None:
        weights[key] = weights[key] + scores if key in weights else scores

    for wish, weight, term in view.columns.terms.of(pod):
        if wish in (Wish.PREFER_NEAR, Wish.PREFER_AWAY):
            sign = 1 if wish is Wish.PREFER_NEAR else -1
            weigh(term.topology_key, sign * weight * _matching(view, [term], pod_info))
    for held in view.columns.terms.held():
        if held.wish is not Wish.AWAY and held.term.matches(pod, pod_info.namespaces):
            weight = {Wish.NEAR: HARD_WEIGHT, Wish.PREFER_NEAR: held.weight}.get(
                held.wish, -held.weight
            )
            weigh(held.term.topology_key, weight * held.counts[view.rows])
    if not weights or feasible is None or not feasible.any():
        return None
    raw = np.zeros(view.size, np.float64)
    for key, scores in weights.items():
        raw += _spread(view, key, scores)
    most, least = float(raw[feasible].max()), float(raw[feasible].min())
    if most == least:
        return None
    return np.floor(MOST * ((raw - least) / (most - least)))


def _together(view: View, terms: list[Term], pod_info: PodInfo) -> Bools:
    """The nodes whose domains hold, for every term, a pod that matches all terms."""
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
        # The first pod of a group that wants to be together has nobody to go to.
        return keyed
    return good & keyed


def _matching(view: View, terms: list[Term], pod_info: PodInfo) -> Ints:
    """Pods on each node that all terms mean."""
    namespaces = pod_info.namespaces

    def matches(pod: Pod) -> bool:
        return all(term.matches(pod, namespaces) for term in terms)

    if all(term.is_fixed for term in terms):
        key = ("affinity", tuple(term.key for term in terms))
        return view.columns.matching(key, matches, ANY_NAMESPACE, terms[0].selector)
    # Labels of namespaces change without any pod changing: counted anew each time.
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
    # The first place is that of nodes that are in no domain.
    sums[0] = 0.0
    return sums[domains + 1]


PLUGIN = Plugin(
    "InterPodAffinity", filter=refuse, score=score, local_filter=False, local_score=False
)
