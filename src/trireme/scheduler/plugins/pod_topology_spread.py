"""PodTopologySpread: keep the pods of a selector even over zones, hosts or any other domains.

A node's domain is its value of the topology key. Pods are counted on nodes as they come and go;
per domain they are summed here. Rules: https://kubernetes.io/docs/concepts/scheduling-eviction/
topology-spread-constraints/; KEP-3022 (minDomains), KEP-3094 (inclusion policies).
"""

from __future__ import annotations

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import TopologySpreadConstraint
from trireme.machinery import labels
from trireme.machinery.meta import LabelSelector
from trireme.scheduler.framework import MOST, Floats, Plugin, Refusal, Subject
from trireme.scheduler.plugins import node_affinity, taint_toleration
from trireme.scheduler.snapshot.columns import MISSING, Bools, Columns, Ints

REASON = "node(s) didn't match pod topology spread constraints"
NO_KEY = "node(s) didn't match pod topology spread constraints (missing required label)"
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_SYSTEM_DEFAULTS = ((HOSTNAME, 3), (ZONE, 5))


def refuse(columns: Columns, subject: Subject) -> list[Refusal] | None:
    """The nodes where one more pod would make a required constraint too uneven."""
    hard = [item for item in constraints(subject) if item.whenUnsatisfiable == "DoNotSchedule"]
    if not hard:
        return None
    refusals = []
    keyed = _all_keys(columns, hard)
    for item in hard:
        domains = columns.label(item.topologyKey)
        refusals.append(Refusal(domains == MISSING, NO_KEY, final=True))
        counted = keyed & _included(columns, subject, item)
        sums = _sums(columns, subject, item, domains, counted)
        present = np.unique(domains[counted])
        least = int(sums[present].min()) if len(present) else 0
        if item.minDomains is not None and len(present) < item.minDomains:
            least = 0
        own = int(selector_of(subject, item).matches(subject.pod.metadata.labels))
        skew = sums[np.maximum(domains, 0)] + own - least
        refusals.append(Refusal((domains != MISSING) & (skew > item.maxSkew), REASON))
    return refusals


def score(columns: Columns, subject: Subject, feasible: Bools) -> Floats | None:
    """The fewer matching pods in a node's domains, the better."""
    soft = [item for item in constraints(subject) if item.whenUnsatisfiable == "ScheduleAnyway"]
    if not soft or not feasible.any():
        return None
    own_constraints = bool(subject.pod.spec.topologySpreadConstraints)
    keyed = _all_keys(columns, soft)
    # Nodes without a key are left out where the pod asks for spreading itself.
    scored = feasible & keyed if own_constraints else feasible
    raw = np.zeros(columns.size, np.float64)
    for item in soft:
        domains = columns.label(item.topologyKey)
        has = domains != MISSING
        counted = _included(columns, subject, item) & has
        if own_constraints:
            counted &= keyed
        if item.topologyKey == HOSTNAME:
            counts = _matching(columns, subject, item).astype(np.float64)
            size = int((scored & has).sum())
        else:
            sums = _sums(columns, subject, item, domains, counted)
            counts = sums[np.maximum(domains, 0)].astype(np.float64)
            size = len(np.unique(domains[scored & has]))
        raw += np.where(has, counts * np.log(size + 2) + (item.maxSkew - 1), 0.0)
    raw = np.round(raw)
    if not scored.any():
        return np.zeros(columns.size)
    most, least = float(raw[scored].max()), float(raw[scored].min())
    if most == 0:
        points = np.full(columns.size, MOST)
    else:
        points = np.floor(MOST * (most + least - raw) / most)
    return np.where(scored, points, 0.0)


def constraints(subject: Subject) -> list[TopologySpreadConstraint]:
    """The pod's own constraints, or the system's for pods that belong to a workload."""
    own = subject.pod.spec.topologySpreadConstraints
    if own:
        return own
    if not subject.default_selector:
        return []
    selector = LabelSelector(matchLabels=subject.default_selector)
    return [
        TopologySpreadConstraint(
            maxSkew=skew,
            topologyKey=key,
            whenUnsatisfiable="ScheduleAnyway",
            labelSelector=selector,
        )
        for key, skew in _SYSTEM_DEFAULTS
    ]


def selector_of(subject: Subject, item: TopologySpreadConstraint) -> labels.Selector:
    """The constraint's selector, narrowed by ``matchLabelKeys`` to the pod's own values."""
    selector = labels.from_struct(item.labelSelector)
    own = subject.pod.metadata.labels
    more = [labels.requirement(key, "In", (own[key],)) for key in item.matchLabelKeys if key in own]
    return selector.add(*more) if more else selector


def _all_keys(columns: Columns, items: list[TopologySpreadConstraint]) -> Bools:
    """The nodes that have every constraint's key."""
    keyed = columns.live[: columns.size].copy()
    for item in items:
        keyed &= columns.label(item.topologyKey) != MISSING
    return keyed


def _included(columns: Columns, subject: Subject, item: TopologySpreadConstraint) -> Bools:
    """The nodes that count, by the constraint's inclusion policies."""
    included = columns.live[: columns.size].copy()
    if item.nodeAffinityPolicy != "Ignore":
        wanted = node_affinity.required(columns, subject)
        if wanted is not None:
            included &= wanted
    if item.nodeTaintsPolicy == "Honor":
        for refusal in taint_toleration.refuse(columns, subject) or ():
            included &= ~refusal.rows
    return included


def _matching(columns: Columns, subject: Subject, item: TopologySpreadConstraint) -> Ints:
    selector = selector_of(subject, item)
    namespace = subject.pod.metadata.namespace

    def matches(pod: Pod) -> bool:
        meta = pod.metadata
        return (
            meta.namespace == namespace
            and meta.deletionTimestamp is None
            and selector.matches(meta.labels)
        )

    return columns.matching((namespace, str(selector)), matches)


def _sums(
    columns: Columns,
    subject: Subject,
    item: TopologySpreadConstraint,
    domains: Ints,
    counted: Bools,
) -> Ints:
    """Matching pods per domain number."""
    counts = _matching(columns, subject, item)
    width = int(domains.max(initial=0)) + 1
    sums = np.zeros(max(width, 1), np.int64)
    rows = counted & (domains != MISSING)
    np.add.at(sums, domains[rows], counts[rows])
    return sums


PLUGIN = Plugin("PodTopologySpread", filter=refuse, score=score)
