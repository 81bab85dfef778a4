"""NodeResourcesFit: the pod's requests must be free; the least allocated node scores highest."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import Floats, Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import PODS, Bools, Ints, View

TOO_MANY_PODS = "Too many pods"


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes with too little of a resource, one status for each resource."""
    statuses = []
    full = view.columns.pod_count[view.rows] >= view.allocatable(PODS)
    if full.any():
        statuses.append(Unschedulable(full, TOO_MANY_PODS))
    for resource, request in pod_info.request.resources.items():
        total = view.allocatable(resource)
        short = view.requested(resource) + request > total
        if short.any():
            never = request > total
            reason = f"Insufficient {resource}"
            statuses.append(Unschedulable(short & ~never, reason))
            statuses.append(Unschedulable(never, reason, unresolvable=True))
    return statuses


def score(view: View, pod_info: PodInfo, feasible: Bools | None) -> Floats | None:
    """LeastAllocated over CPU and memory; containers without requests count with defaults."""
    columns, request = view.columns, pod_info.request
    cpu, cpu_there = _free(view.allocatable("cpu"), columns.scored_cpu[view.rows], request.cpu)
    memory, memory_there = _free(
        view.allocatable("memory"), columns.scored_memory[view.rows], request.memory
    )
    free: Floats = (cpu + memory) // np.maximum(cpu_there + memory_there, 1)
    return free


def _free(capacity: Ints, used: Ints, asked: int) -> tuple[Ints, Ints]:
    """The free percentage of a resource after scheduling, and 1 where the node has any, else 0."""
    free = np.maximum(capacity - used - asked, 0) * 100 // np.maximum(capacity, 1)
    return free, np.minimum(capacity, 1)


PLUGIN = Plugin("NodeResourcesFit", filter=refuse, score=score)
