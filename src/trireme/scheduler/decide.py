"""Where a pod goes: one pure function over the columns.

In: the columns, the pod, what is kept of alike pods, and a number that breaks ties. Out: a
``Decision``: a node, or for each reason how many nodes gave it. Every node is looked at, always: no
sampling. Pods that are nominated to a node (they wait for their victims to go) count as being there
for pods of the same or a lower priority. Upstream: schedule_one.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.scheduler.framework import Floats, Refusal, Subject
from trireme.scheduler.profile import Profile
from trireme.scheduler.snapshot.columns import Bools, Columns
from trireme.scheduler.standing import Standings

Nominated = Mapping[str, Sequence[Pod]]


@dataclass(frozen=True)
class Decision:
    """``node`` is empty when no node will do. ``reasons`` counts nodes per reason; ``plugins`` are
    those that refused a node, and so whose events may bring a change; ``helpable`` are the rows
    where preemption could make room."""

    node: str = ""
    feasible: int = 0
    total: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    plugins: frozenset[str] = frozenset()
    helpable: tuple[int, ...] = ()


def decide(
    columns: Columns,
    subject: Subject,
    standings: Standings,
    chance: float,
    nominated: Nominated | None = None,
) -> Decision:
    """Choose a node. ``chance`` in [0, 1) picks among equally good ones. ``nominated`` are, by
    node, the pods that count as being there."""
    profile = standings.profile
    points = standings.of(columns, subject)
    feasible = _feasible(columns, subject, profile, points, nominated or {})
    count = int(np.count_nonzero(feasible))
    if count == 0:
        return why_not(columns, subject, profile, nominated or {})
    wanted = columns.row_of(subject.pod.status.nominatedNodeName)
    if wanted is not None and feasible[wanted]:
        row = wanted
    elif count == 1:
        row = int(feasible.argmax())
    else:
        totals = add_far_scores(columns, subject, profile, feasible, points)
        best = np.flatnonzero(totals == totals.max())
        row = int(best[int(chance * len(best))])
    return Decision(columns.names[row], count, columns.count)


def _feasible(
    columns: Columns, subject: Subject, profile: Profile, points: Floats, nominated: Nominated
) -> Bools:
    feasible: Bools = points != -np.inf
    for plugin in profile.far_filters:
        for refusal in plugin.filter(columns.whole(), subject) or ():  # type: ignore[misc]
            feasible &= ~refusal.rows
    for node, pods in nominated.items():
        row = columns.row_of(node)
        if row is not None and feasible[row]:
            reasons = refusals_with(columns, subject, profile, row, pods)
            feasible[row] = not reasons
    return feasible


def refusals_with(
    columns: Columns, subject: Subject, profile: Profile, row: int, extra: Sequence[Pod]
) -> list[tuple[str, Refusal]]:
    """Why a row is refused when ``extra`` pods are there as well; empty when it is not."""
    added = []
    try:
        for pod in extra:
            if not columns.has_pod(pod.metadata.uid):
                columns.set_pod(pod, columns.names[row])
                added.append(pod.metadata.uid)
        return refusals_of(columns, subject, profile, row)
    finally:
        for uid in added:
            columns.drop_pod(uid)


def refusals_of(
    columns: Columns, subject: Subject, profile: Profile, row: int
) -> list[tuple[str, Refusal]]:
    """The refusals of the first plugin that refuses a row, with its name; empty when none does.
    Each refusal is about that row alone."""
    one = columns.at(np.array([row]))
    for plugin, _ in profile.plugins:
        if plugin.filter is None:
            continue
        if plugin.local_filter:
            given = plugin.filter(one, subject) or []
        else:
            given = [
                Refusal(item.rows[row : row + 1], item.reason, item.final)
                for item in plugin.filter(columns.whole(), subject) or ()
            ]
        found = [(plugin.name, item) for item in given if item.rows[0]]
        if found:
            return found
    return []


def add_far_scores(
    columns: Columns, subject: Subject, profile: Profile, feasible: Bools, points: Floats
) -> Floats:
    """The weighted sum of all scores; minus infinity where a node is not feasible."""
    totals = points
    for plugin, weight in profile.far_scores:
        score = plugin.score(columns.whole(), subject, feasible)  # type: ignore[misc]
        # One number for all changes no order.
        if isinstance(score, np.ndarray):
            totals = totals + weight * score
    if profile.far_filters and not np.array_equal(feasible, points != -np.inf):
        totals = np.where(feasible, totals, -np.inf)
    return totals


def why_not(columns: Columns, subject: Subject, profile: Profile, nominated: Nominated) -> Decision:
    """The decision for a pod that fits nowhere: of each node the first plugin that refuses it."""
    view = columns.whole()
    left = view.live.copy()
    helpable = np.zeros(view.size, np.bool_)
    reasons: dict[str, int] = {}
    plugins: set[str] = set()
    for node, pods in nominated.items():
        row = columns.row_of(node)
        found = [] if row is None else refusals_with(columns, subject, profile, row, pods)
        if found:
            left[row] = False
            plugins.add(found[0][0])
            helpable[row] = not any(refusal.final for _, refusal in found)
            for _, refusal in found:
                reasons[refusal.reason] = reasons.get(refusal.reason, 0) + 1
    for plugin, _ in profile.plugins:
        if plugin.filter is None or not left.any():
            continue
        refused = np.zeros(view.size, np.bool_)
        final = np.zeros(view.size, np.bool_)
        for refusal in plugin.filter(view, subject) or ():
            rows = refusal.rows & left
            count = int(np.count_nonzero(rows))
            if count:
                reasons[refusal.reason] = reasons.get(refusal.reason, 0) + count
                refused |= rows
                if refusal.final:
                    final |= rows
        if refused.any():
            plugins.add(plugin.name)
            helpable |= refused & ~final
            left &= ~refused
    may_help = tuple(int(row) for row in np.flatnonzero(helpable))
    return Decision("", 0, columns.count, reasons, frozenset(plugins), may_help)


def message(decision: Decision, preemption: str = "") -> str:
    """Why not, in the form that people search for; ``preemption`` is what came of that."""
    if decision.total == 0:
        return "no nodes available to schedule pods"
    text = f"0/{decision.total} nodes are available: {told(decision.reasons)}."
    return f"{text} preemption: {preemption}" if preemption else text


def told(reasons: Mapping[str, int]) -> str:
    """Reasons with their counts, in upstream's order: that of their text."""
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
