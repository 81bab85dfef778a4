"""NodeResourcesBalancedAllocation: prefer nodes that the pod leaves, or makes, evenly used."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import MOST, Floats, Plugin, PodInfo
from trireme.scheduler.snapshot.columns import Bools, View


def score(view: View, pod_info: PodInfo, feasible: Bools | None) -> Floats | None:
    """How the pod changes the balance of CPU and memory use: 75 is no change, more is better."""
    asked = pod_info.request.resources
    cpu, memory = asked.get("cpu", 0), asked.get("memory", 0)
    if not cpu and not memory:
        return None
    cpus, memories = view.allocatable("cpu"), view.allocatable("memory")
    cpu_used, memory_used = view.requested("cpu"), view.requested("memory")
    # A single resource cannot be unbalanced.
    both = (cpus > 0) & (memories > 0)
    cpus, memories = np.maximum(cpus, 1), np.maximum(memories, 1)
    before = _balance(cpu_used / cpus, memory_used / memories, both)
    after = _balance((cpu_used + cpu) / cpus, (memory_used + memory) / memories, both)
    return MOST / 2 + np.floor((MOST / 2 + after - before) / 2)


def _balance(cpu: Floats, memory: Floats, both: Bools) -> Floats:
    spread = np.abs((np.minimum(cpu, 1.0) - np.minimum(memory, 1.0)) / 2)
    return np.floor((1 - spread * both) * MOST)


PLUGIN = Plugin("NodeResourcesBalancedAllocation", score=score)
