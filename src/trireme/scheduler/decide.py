"""Where a pod goes: one pure function over the columns.

In: the columns, the pod, a profile, and a number that breaks ties. Out: a ``Decision``: a node, or
for each reason how many nodes gave it. Every node is looked at, always: no sampling.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trireme.scheduler.framework import Refusal, Subject
from trireme.scheduler.profile import Profile
from trireme.scheduler.snapshot.columns import Bools, Columns


@dataclass(frozen=True)
class Decision:
    """``node`` is empty when no node will do. ``reasons`` counts nodes per reason; ``plugins`` are
    those that refused a node, and so whose events may bring a change; ``helpable`` says on how many
    nodes preemption could make room."""

    node: str = ""
    feasible: int = 0
    total: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    plugins: frozenset[str] = frozenset()
    helpable: int = 0


def decide(columns: Columns, subject: Subject, profile: Profile, chance: float) -> Decision:
    """Choose a node. ``chance`` in [0, 1) picks among equally good ones."""
    feasible, decision = filter_nodes(columns, subject, profile)
    if decision is not None:
        return decision
    count = int(feasible.sum())
    if count == 1:
        row = int(feasible.argmax())
    else:
        totals = score_nodes(columns, subject, profile, feasible)
        best = np.flatnonzero(feasible & (totals == totals[feasible].max()))
        row = int(best[int(chance * len(best))])
    return Decision(columns.names[row], count, columns.count)


def filter_nodes(
    columns: Columns, subject: Subject, profile: Profile
) -> tuple[Bools, Decision | None]:
    """The feasible nodes; or, with none, the decision that says why."""
    feasible = columns.live[: columns.size].copy()
    reasons: dict[str, int] = {}
    plugins: set[str] = set()
    helpable = 0
    for plugin, _ in profile.plugins:
        if plugin.filter is None or not feasible.any():
            continue
        refusals = plugin.filter(columns, subject)
        if not refusals:
            continue
        refused = _refused(refusals, feasible, reasons)
        if refused.any():
            plugins.add(plugin.name)
            final = np.zeros(columns.size, np.bool_)
            for refusal in refusals:
                if refusal.final:
                    final |= refusal.rows
            helpable += int((refused & ~final).sum())
            feasible &= ~refused
    if feasible.any():
        return feasible, None
    total = columns.count
    return feasible, Decision("", 0, total, reasons, frozenset(plugins), helpable)


def _refused(refusals: list[Refusal], feasible: Bools, reasons: dict[str, int]) -> Bools:
    """The nodes that one plugin refuses; a node counts for each of the plugin's reasons."""
    refused = np.zeros(len(feasible), np.bool_)
    for refusal in refusals:
        rows = refusal.rows & feasible
        count = int(rows.sum())
        if count:
            reasons[refusal.reason] = reasons.get(refusal.reason, 0) + count
            refused |= rows
    return refused


def score_nodes(
    columns: Columns, subject: Subject, profile: Profile, feasible: Bools
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The weighted sum of all scores."""
    totals = np.zeros(columns.size, np.float64)
    for plugin, weight in profile.plugins:
        if plugin.score is None or not weight:
            continue
        points = plugin.score(columns, subject, feasible)
        if points is not None:
            totals += weight * points
    return totals


def message(decision: Decision) -> str:
    """Why not, in the form that people search for."""
    if decision.total == 0:
        return "no nodes available to schedule pods"
    told = ", ".join(sorted(f"{count} {reason}" for reason, count in decision.reasons.items()))
    text = f"0/{decision.total} nodes are available: {told}."
    unhelpful = decision.total - decision.helpable
    parts = []
    if decision.helpable:
        parts.append(f"{decision.helpable} No preemption victims found for incoming pod")
    if unhelpful:
        parts.append(f"{unhelpful} Preemption is not helpful for scheduling")
    return f"{text} preemption: 0/{decision.total} nodes are available: {', '.join(parts)}."
