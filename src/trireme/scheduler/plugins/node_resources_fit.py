"""NodeResourcesFit: what a pod requests must be free; the least allocated node is the best."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import Floats, Plugin, Refusal, Subject
from trireme.scheduler.snapshot.columns import PODS, Bools, Ints, View

TOO_MANY_PODS = "Too many pods"


def refuse(view: View, subject: Subject) -> list[Refusal] | None:
    """The nodes where something is missing, resource by resource."""
    refusals = []
    full = view.columns.pod_count[view.rows] >= view.allocatable(PODS)
    if full.any():
        refusals.append(Refusal(full, TOO_MANY_PODS))
    for resource, amount in subject.request.amounts.items():
        total = view.allocatable(resource)
        short = view.requested(resource) + amount > total
        if short.any():
            never = amount > total
            reason = f"Insufficient {resource}"
            refusals.append(Refusal(short & ~never, reason))
            refusals.append(Refusal(never, reason, final=True))
    return refusals


def score(view: View, subject: Subject, feasible: Bools | None) -> Floats | None:
    """LeastAllocated over CPU and memory, counting a minimum for pods that request nothing."""
    columns, request = view.columns, subject.request
    cpu, cpu_there = _free(view.allocatable("cpu"), columns.scored_cpu[view.rows], request.cpu)
    memory, memory_there = _free(
        view.allocatable("memory"), columns.scored_memory[view.rows], request.memory
    )
    free: Floats = (cpu + memory) // np.maximum(cpu_there + memory_there, 1)
    return free


def _free(capacity: Ints, used: Ints, asked: int) -> tuple[Ints, Ints]:
    """How many hundredths of a resource would be free, and 1 where there is any of it, else 0."""
    free = np.maximum(capacity - used - asked, 0) * 100 // np.maximum(capacity, 1)
    return free, np.minimum(capacity, 1)


PLUGIN = Plugin("NodeResourcesFit", filter=refuse, score=score)
