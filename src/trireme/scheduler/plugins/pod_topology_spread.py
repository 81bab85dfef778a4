"""PodTopologySpread: spread the pods of a selector over zones, hosts or any other domains.

A node's domain is its value of the topology key. Pods per node are counted by the columns; the sums
per domain are made here. Rules: https://kubernetes.io/docs/concepts/scheduling-eviction/
topology-spread-constraints/; KEP-3022 (minDomains), KEP-3094 (inclusion policies).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import TopologySpreadConstraint
from trireme.machinery import labels, selection
from trireme.scheduler.framework import MOST, Floats, Plugin, PodInfo, Unschedulable
from trireme.scheduler.plugins import node_affinity, taint_toleration
from trireme.scheduler.snapshot.columns import MISSING, Bools, Ints, View

REASON = "node(s) didn't match pod topology spread constraints"
NO_KEY = "node(s) didn't match pod topology spread constraints (missing required label)"
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_SYSTEM_DEFAULTS = ((HOSTNAME, 3), (ZONE, 5))


@dataclass(frozen=True)
class Constraint:
    """A constraint with its selector compiled."""

    key: str
    skew: int
    selector: labels.Selector
    least_domains: int = 1
    by_affinity: bool = True
    by_taints: bool = False


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes where one more pod would exceed the maxSkew of a required constraint, each with its
    first reason."""
    hard = _own(pod_info, "DoNotSchedule")
    if not hard:
        return None
    statuses = []
    keyed = _all_keys(view, hard)
    left = np.ones(view.size, np.bool_)
    for item in hard:
        domains = view.label(item.key)
        missing = domains == MISSING
        statuses.append(Unschedulable(missing & left, NO_KEY, unresolvable=True))
        counted = keyed & _included(view, pod_info, item)
        sums, present = _by_domain(domains[counted], _matching(view, pod_info, item)[counted])
        least = int(sums[present].min()) if present.any() else 0
        if np.count_nonzero(present) < item.least_domains:
            least = 0
        own = int(item.selector.matches(pod_info.pod.metadata.labels))
        # Fewer domains than minDomains: the global minimum is 0.
        known = domains < len(sums)
        here = np.where(known & ~missing, sums[np.where(known & ~missing, domains, 0)], 0)
        uneven = here + own - least > item.skew
        statuses.append(Unschedulable(uneven & ~missing & left, REASON))
        left &= ~(uneven | missing)
    return statuses


def score(view: View, pod_info: PodInfo, feasible: Bools | None) -> Floats | float | None:
    """The fewer matching pods in a node's domains, the better."""
    strict = bool(pod_info.pod.spec.topologySpreadConstraints)
    soft = _own(pod_info, "ScheduleAnyway") if strict else _system(pod_info)
    if not soft or feasible is None:
        return None
    # Nodes without a key are ignored for the pod's own constraints, not for the system's.
    keyed = _all_keys(view, soft) if strict else None
    scored = feasible if keyed is None else feasible & keyed
    candidates = int(np.count_nonzero(scored))
    if not candidates:
        return None
    every = candidates == view.size
    raw = np.zeros(view.size, np.float64)
    for item in soft:
        domains = view.label(item.key)
        matching = _matching(view, pod_info, item)
        if item.key == HOSTNAME:
            scores = matching * _weight(candidates) + (item.skew - 1)
            has = domains != MISSING
        else:
            counted = _included(view, pod_info, item)
            if keyed is not None:
                counted &= keyed
            # The last index is for nodes without the key.
            width = int(domains.max(initial=0)) + 2
            present = np.zeros(width, np.bool_)
            present[domains if every else domains[scored]] = True
            whole = np.count_nonzero(counted) == view.size
            sums = np.bincount(
                (domains if whole else domains[counted]) + 1,
                matching if whole else matching[counted],
                width,
            )[1:]
            by_domain = sums * _weight(int(np.count_nonzero(present))) + (item.skew - 1)
            has = domains != MISSING
            scores = by_domain[domains]
        raw += scores if has.all() else np.where(has, scores, 0.0)
    # Half away from zero, unlike numpy's own.
    raw = np.floor(raw + 0.5)
    among = raw if every else raw[scored]
    most, least = float(among.max()), float(among.min())
    if most == 0:
        result = np.full(view.size, MOST)
    else:
        result = np.floor(MOST * (most + least - raw) / most)
    return result if every else np.where(scored, result, 0.0)


def _own(pod_info: PodInfo, action: str) -> list[Constraint]:
    """The pod's own constraints with this action."""
    return [
        Constraint(
            item.topologyKey,
            item.maxSkew,
            selector_of(pod_info, item),
            1 if item.minDomains is None else item.minDomains,
            item.nodeAffinityPolicy != "Ignore",
            item.nodeTaintsPolicy == "Honor",
        )
        for item in pod_info.pod.spec.topologySpreadConstraints
        if item.whenUnsatisfiable == action
    ]


def _system(pod_info: PodInfo) -> list[Constraint]:
    """The system's default constraints, for pods of a workload or Service."""
    selector = pod_info.default_selector
    if selector is None or selector.empty():
        return []
    return [Constraint(key, skew, selector) for key, skew in _SYSTEM_DEFAULTS]


def selector_of(pod_info: PodInfo, item: TopologySpreadConstraint) -> labels.Selector:
    """The constraint's selector, narrowed by ``matchLabelKeys`` to the pod's own values."""
    selector = labels.from_struct(item.labelSelector)
    own = pod_info.pod.metadata.labels
    more = [
        labels.requirement(key, selection.IN, (own[key],))
        for key in item.matchLabelKeys
        if key in own
    ]
    return selector.add(*more) if more else selector


def _all_keys(view: View, items: list[Constraint]) -> Bools:
    """The nodes that have every constraint's key."""
    keyed = view.live.copy()
    for item in items:
        keyed &= view.label(item.key) != MISSING
    return keyed


def _included(view: View, pod_info: PodInfo, item: Constraint) -> Bools:
    """The nodes that count, by the constraint's inclusion policies."""
    included = view.live.copy()
    if item.by_affinity:
        matching = node_affinity.required(view, pod_info)
        if matching is not None:
            included &= matching
    if item.by_taints:
        for status in taint_toleration.refuse(view, pod_info) or ():
            included &= ~status.rows
    return included


def _matching(view: View, pod_info: PodInfo, item: Constraint) -> Ints:
    """The number of pods on each node that match the constraint."""
    selector = item.selector
    namespace = pod_info.pod.metadata.namespace
    if selector.empty():
        return np.zeros(view.size, np.int64)

    def matches(pod: Pod) -> bool:
        meta = pod.metadata
        return (
            meta.namespace == namespace
            and meta.deletionTimestamp is None
            and selector.matches(meta.labels)
        )

    key = ("spread", namespace, selector, isinstance(selector, labels.Nothing))
    return view.columns.matching(key, matches, namespace, selector)


def _by_domain(domains: Ints, counts: Ints) -> tuple[Ints, Bools]:
    """The number of pods by domain, and which domains exist."""
    width = int(domains.max(initial=0)) + 1
    sums = np.bincount(domains, counts, width).astype(np.int64)
    return sums, np.bincount(domains, minlength=width) > 0


def _weight(domains: int) -> float:
    """The weight of a constraint, which grows with the number of domains."""
    return float(np.log(domains + 2))


PLUGIN = Plugin(
    "PodTopologySpread", filter=refuse, score=score, local_filter=False, local_score=False
)
