"""InterPodAffinity: run near to, or away from, pods that match a selector.

A term names pods (selector, namespaces) and a topology key. Nodes with the same value of the key
are one domain. Three things refuse a node: the pod's own required affinity and anti-affinity, and
the anti-affinity of pods that are there already. Rules: https://kubernetes.io/docs/concepts/
scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import PodAffinityTerm, WeightedPodAffinityTerm
from trireme.machinery import labels
from trireme.scheduler.framework import MOST, Floats, Plugin, Refusal, Subject
from trireme.scheduler.snapshot.columns import MISSING, Bools, Columns

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
HARD_WEIGHT = 1


def refuse(columns: Columns, subject: Subject) -> list[Refusal] | None:
    """The nodes that required terms exclude."""
    pod = subject.pod
    refusals = []
    near = _required(pod, anti=False)
    if near:
        refusals.append(Refusal(~_affine(columns, pod, near, subject), AFFINITY, final=True))
    away = _required(pod, anti=True)
    for term in away:
        found = _domain_counts(columns, term, pod, subject) > 0
        refusals.append(Refusal(found, ANTI_AFFINITY))
    existing = _existing_refusal(columns, subject)
    if existing is not None:
        refusals.append(Refusal(existing, EXISTING))
    return refusals


def score(columns: Columns, subject: Subject, feasible: Bools) -> Floats | None:
    """Preferred terms of the pod and of the pods that are there, and their required affinity."""
    pod = subject.pod
    raw = np.zeros(columns.size, np.float64)
    said = False
    for weighted, sign in ((_preferred(pod, anti=False), 1), (_preferred(pod, anti=True), -1)):
        for item in weighted:
            said = True
            counts = _domain_counts(columns, item.podAffinityTerm, pod, subject)
            raw += sign * item.weight * counts
    for other, node in columns.affine_pods():
        for term, weight in _reverse_terms(other):
            if matches(term, other, pod, subject):
                said = True
                raw += weight * _same_domain(columns, term.topologyKey, node)
    if not said or not feasible.any():
        return None
    most, least = float(raw[feasible].max()), float(raw[feasible].min())
    if most == least:
        return np.zeros(columns.size)
    return np.floor(MOST * (raw - least) / (most - least))


def matches(term: PodAffinityTerm, owner: Pod, candidate: Pod, subject: Subject) -> bool:
    """Whether a term of ``owner`` means ``candidate``."""
    return _matcher(term, owner, subject)(candidate)


def _matcher(term: PodAffinityTerm, owner: Pod, subject: Subject) -> Callable[[Pod], bool]:
    if term.labelSelector is None:
        return lambda _pod: False
    selector = labels.from_struct(term.labelSelector)
    own = owner.metadata.labels
    more = [labels.requirement(k, "In", (own[k],)) for k in term.matchLabelKeys if k in own]
    more += [labels.requirement(k, "NotIn", (own[k],)) for k in term.mismatchLabelKeys if k in own]
    if more:
        selector = selector.add(*more)
    names = set(term.namespaces)
    by_label = None
    if term.namespaceSelector is not None:
        by_label = labels.from_struct(term.namespaceSelector)
    elif not names:
        names = {owner.metadata.namespace}

    def fits(pod: Pod) -> bool:
        namespace = pod.metadata.namespace
        if namespace not in names and (
            by_label is None or not by_label.matches(subject.namespaces.get(namespace, {}))
        ):
            return False
        return selector.matches(pod.metadata.labels)

    return fits


def _affine(columns: Columns, pod: Pod, terms: list[PodAffinityTerm], subject: Subject) -> Bools:
    """The nodes whose domains hold, for every term, a pod that matches all terms."""
    fits = [_matcher(term, pod, subject) for term in terms]
    hosts = [node for other, node in columns.pods() if all(fit(other) for fit in fits)]
    good = np.ones(columns.size, np.bool_)
    keyed = np.ones(columns.size, np.bool_)
    for term in terms:
        domains = columns.label(term.topologyKey)
        keyed &= domains != MISSING
        rows = [row for node in hosts if (row := columns.row_of(node)) is not None]
        values = [value for value in domains[rows].tolist() if value != MISSING]
        good &= np.isin(domains, values)
    if not hosts and all(fit(pod) for fit in fits):
        # The first pod of a group that wants to be together has nobody to go to.
        return keyed
    return good & keyed


def _domain_counts(columns: Columns, term: PodAffinityTerm, owner: Pod, subject: Subject) -> Floats:
    """For each node, how many pods in its domain a term means."""
    fit = _matcher(term, owner, subject)
    key = ("affinity", owner.metadata.namespace, repr(term), _own_values(term, owner))
    if term.namespaceSelector is not None:
        # Labels of namespaces change without any pod changing: counted anew each time.
        counts = np.zeros(columns.size, np.int64)
        for other, node in columns.pods():
            row = columns.row_of(node)
            if row is not None and fit(other):
                counts[row] += 1
    else:
        counts = columns.matching(key, fit)
    domains = columns.label(term.topologyKey)
    present = domains != MISSING
    sums = np.zeros(int(domains.max(initial=0)) + 1, np.float64)
    np.add.at(sums, domains[present], counts[present])
    return np.where(present, sums[np.maximum(domains, 0)], 0.0)


def _own_values(term: PodAffinityTerm, owner: Pod) -> tuple[str, ...]:
    keys = (*term.matchLabelKeys, *term.mismatchLabelKeys)
    return tuple(owner.metadata.labels.get(key, "") for key in keys)


def _existing_refusal(columns: Columns, subject: Subject) -> Bools | None:
    """Where the required anti-affinity of a pod that is there means this pod."""
    refused: Bools | None = None
    for other, node in columns.affine_pods():
        for term in _required(other, anti=True):
            if matches(term, other, subject.pod, subject):
                if refused is None:
                    refused = np.zeros(columns.size, np.bool_)
                refused |= _same_domain(columns, term.topologyKey, node)
    return refused


def _same_domain(columns: Columns, key: str, node: str) -> Bools:
    """The nodes in the same domain as a node."""
    domains = columns.label(key)
    row = columns.row_of(node)
    if row is None or domains[row] == MISSING:
        return np.zeros(columns.size, np.bool_)
    same: Bools = domains == domains[row]
    return same


def _reverse_terms(pod: Pod) -> Iterable[tuple[PodAffinityTerm, int]]:
    """What a pod that is there wants of others, with weights."""
    for term in _required(pod, anti=False):
        yield term, HARD_WEIGHT
    for item in _preferred(pod, anti=False):
        yield item.podAffinityTerm, item.weight
    for item in _preferred(pod, anti=True):
        yield item.podAffinityTerm, -item.weight


def _required(pod: Pod, *, anti: bool) -> list[PodAffinityTerm]:
    affinity = pod.spec.affinity
    side = None
    if affinity is not None:
        side = affinity.podAntiAffinity if anti else affinity.podAffinity
    return side.requiredDuringSchedulingIgnoredDuringExecution if side is not None else []


def _preferred(pod: Pod, *, anti: bool) -> list[WeightedPodAffinityTerm]:
    affinity = pod.spec.affinity
    side = None
    if affinity is not None:
        side = affinity.podAntiAffinity if anti else affinity.podAffinity
    return side.preferredDuringSchedulingIgnoredDuringExecution if side is not None else []


PLUGIN = Plugin("InterPodAffinity", filter=refuse, score=score)
