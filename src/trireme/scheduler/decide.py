"""The scheduling decision for one pod: a pure function over the columns.

In: the columns, the pod, the score cache, and a number that breaks ties. Out: a ``Decision``: a
node, or the number of nodes for each reason. Every node is filtered and scored: no sampling. Pods
nominated to a node (their victims are still terminating) count as running there for pods of the
same or a lower priority. Upstream: schedule_one.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.scheduler.framework import Floats, PodInfo, Unschedulable
from trireme.scheduler.profile import Profile
from trireme.scheduler.score_cache import ScoreCache
from trireme.scheduler.snapshot.columns import Bools, Columns

Nominated = Mapping[str, Sequence[Pod]]


@dataclass(frozen=True)
class Decision:
    """``node`` is empty when no node is feasible. ``reasons`` counts nodes per reason; ``plugins``
    are those that refused a node, whose cluster events may make the pod schedulable; ``helpable``
    are the rows where preemption could help; ``pre_filter`` is why no node was looked at."""

    node: str = ""
    feasible: int = 0
    total: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    plugins: frozenset[str] = frozenset()
    helpable: tuple[int, ...] = ()
    pre_filter: str = ""


def decide(
    columns: Columns,
    pod_info: PodInfo,
    score_cache: ScoreCache,
    chance: float,
    nominated: Nominated | None = None,
) -> Decision:
    """Select a node. ``chance`` in [0, 1) picks among those with the highest score. ``nominated``
    are, by node, the pods that count as running there."""
    profile = score_cache.profile
    claims = pod_info.volumes
    if claims is not None and claims.problem:
        plugins = frozenset({claims.plugin})
        return Decision(total=columns.count, plugins=plugins, pre_filter=claims.problem)
    scores = score_cache.of(columns, pod_info)
    feasible = _feasible(columns, pod_info, profile, scores, nominated or {})
    count = int(np.count_nonzero(feasible))
    if count == 0:
        return diagnosis(columns, pod_info, profile, nominated or {})
    nominated_row = columns.row_of(pod_info.pod.status.nominatedNodeName)
    if nominated_row is not None and feasible[nominated_row]:
        row = nominated_row
    elif count == 1:
        row = int(feasible.argmax())
    else:
        totals = add_cluster_wide_scores(columns, pod_info, profile, feasible, scores)
        best = np.flatnonzero(totals == totals.max())
        row = int(best[int(chance * len(best))])
    return Decision(columns.names[row], count, columns.count)


def _feasible(
    columns: Columns, pod_info: PodInfo, profile: Profile, scores: Floats, nominated: Nominated
) -> Bools:
    feasible: Bools = scores != -np.inf
    for filter_ in profile.cluster_wide_filters:
        for status in filter_(columns.whole(), pod_info) or ():
            feasible &= ~status.rows
    for node, pods in nominated.items():
        row = columns.row_of(node)
        if row is not None and feasible[row]:
            reasons = statuses_with(columns, pod_info, profile, row, pods)
            feasible[row] = not reasons
    return feasible


def statuses_with(
    columns: Columns, pod_info: PodInfo, profile: Profile, row: int, extra: Sequence[Pod]
) -> list[tuple[str, Unschedulable]]:
    """The statuses that refuse a row with ``extra`` pods on it; empty when it is feasible."""
    added = []
    try:
        for pod in extra:
            if not columns.has_pod(pod.metadata.uid):
                columns.set_pod(pod, columns.names[row])
                added.append(pod.metadata.uid)
        return statuses_of(columns, pod_info, profile, row)
    finally:
        for uid in added:
            columns.drop_pod(uid)


def statuses_of(
    columns: Columns, pod_info: PodInfo, profile: Profile, row: int
) -> list[tuple[str, Unschedulable]]:
    """The statuses of the first plugin that refuses a row, with its name; empty when none does.
    Each status is about that row alone."""
    one = columns.at(np.array([row]))
    for plugin, _ in profile.plugins:
        if plugin.filter is None:
            continue
        if plugin.local_filter:
            given = plugin.filter(one, pod_info) or []
        else:
            given = [
                Unschedulable(item.rows[row : row + 1], item.reason, item.unresolvable)
                for item in plugin.filter(columns.whole(), pod_info) or ()
            ]
        found = [(plugin.name, item) for item in given if item.rows[0]]
        if found:
            return found
    return []


def add_cluster_wide_scores(
    columns: Columns, pod_info: PodInfo, profile: Profile, feasible: Bools, scores: Floats
) -> Floats:
    """The weighted sum of all scores; minus infinity where a node is not feasible."""
    totals = scores
    for score_of, weight in profile.cluster_wide_scores:
        score = score_of(columns.whole(), pod_info, feasible)
        # The same score for all nodes does not change their order.
        if isinstance(score, np.ndarray):
            totals = totals + weight * score
    if profile.cluster_wide_filters and not np.array_equal(feasible, scores != -np.inf):
        totals = np.where(feasible, totals, -np.inf)
    return totals


def diagnosis(
    columns: Columns, pod_info: PodInfo, profile: Profile, nominated: Nominated
) -> Decision:
    """The decision for an unschedulable pod: for each node the first plugin that refuses it."""
    view = columns.whole()
    left = view.live.copy()
    helpable = np.zeros(view.size, np.bool_)
    reasons: dict[str, int] = {}
    plugins: set[str] = set()
    for node, pods in nominated.items():
        row = columns.row_of(node)
        found = [] if row is None else statuses_with(columns, pod_info, profile, row, pods)
        if found:
            left[row] = False
            plugins.add(found[0][0])
            helpable[row] = not any(status.unresolvable for _, status in found)
            for _, status in found:
                reasons[status.reason] = reasons.get(status.reason, 0) + 1
    for plugin, _ in profile.plugins:
        if plugin.filter is None or not left.any():
            continue
        refused = np.zeros(view.size, np.bool_)
        unresolvable = np.zeros(view.size, np.bool_)
        for status in plugin.filter(view, pod_info) or ():
            rows = status.rows & left
            count = int(np.count_nonzero(rows))
            if count:
                reasons[status.reason] = reasons.get(status.reason, 0) + count
                refused |= rows
                if status.unresolvable:
                    unresolvable |= rows
        if refused.any():
            plugins.add(plugin.name)
            helpable |= refused & ~unresolvable
            left &= ~refused
    may_help = tuple(int(row) for row in np.flatnonzero(helpable))
    return Decision("", 0, columns.count, reasons, frozenset(plugins), may_help)


def message(decision: Decision, preemption: str = "") -> str:
    """The FitError's text, as upstream has it; ``preemption`` is the result of preemption."""
    if decision.total == 0:
        return "no nodes available to schedule pods"
    reason = decision.pre_filter or summary(decision.reasons)
    text = f"0/{decision.total} nodes are available: {reason}."
    return f"{text} preemption: {preemption}" if preemption else text


def summary(reasons: Mapping[str, int]) -> str:
    """Reasons with their counts, in upstream's order: that of their text."""
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
