"""NodeResourcesFit: what a pod requests must be free; the least allocated node is the best."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import MOST, Floats, Plugin, Refusal, Subject
from trireme.scheduler.snapshot.columns import PODS, Bools, Columns

TOO_MANY_PODS = "Too many pods"


def refuse(columns: Columns, subject: Subject) -> list[Refusal] | None:
    """The nodes where something is missing, resource by resource."""
    refusals = []
    allowed = columns.amounts(columns.allocatable, PODS)
    full = columns.pod_count[: columns.size] + 1 > allowed
    if full.any():
        refusals.append(Refusal(full, TOO_MANY_PODS))
    for resource, amount in subject.request.amounts.items():
        total = columns.amounts(columns.allocatable, resource)
        used = columns.amounts(columns.requested, resource)
        short = amount > total - used
        if short.any():
            never = amount > total
            reason = f"Insufficient {resource}"
            refusals.append(Refusal(short & ~never, reason))
            refusals.append(Refusal(never, reason, final=True))
    return refusals


def score(columns: Columns, subject: Subject, feasible: Bools) -> Floats | None:
    """LeastAllocated over CPU and memory, counting a minimum for pods that request nothing."""
    total = np.zeros(columns.size, np.float64)
    weights = np.zeros(columns.size, np.float64)
    for resource, used, asked in (
        ("cpu", columns.scored_cpu, subject.request.cpu),
        ("memory", columns.scored_memory, subject.request.memory),
    ):
        capacity = columns.amounts(columns.allocatable, resource)
        there = capacity > 0
        wanted = used[: columns.size] + asked
        safe = np.where(there, capacity, 1)
        free = np.floor((capacity - wanted) * MOST / safe)
        total += np.where(there & (wanted <= capacity), free, 0.0)
        weights += there
    return np.floor(total / np.maximum(weights, 1))


PLUGIN = Plugin("NodeResourcesFit", filter=refuse, score=score)
