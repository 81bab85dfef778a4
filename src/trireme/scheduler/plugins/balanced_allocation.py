"""NodeResourcesBalancedAllocation: prefer nodes that the pod leaves, or makes, evenly used."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import MOST, Floats, Plugin, Subject
from trireme.scheduler.snapshot.columns import Bools, Columns

RESOURCES = ("cpu", "memory")


def score(columns: Columns, subject: Subject, feasible: Bools) -> Floats | None:
    """How much more even the use of CPU and memory gets: 50 is no change."""
    if subject.request.best_effort:
        return None
    before = _balance(columns, dict.fromkeys(RESOURCES, 0))
    after = _balance(columns, {name: subject.request.amounts.get(name, 0) for name in RESOURCES})
    return MOST / 2 + np.floor((MOST / 2 + after - before) / 2)


def _balance(columns: Columns, more: dict[str, int]) -> Floats:
    fractions = []
    present = []
    for resource in RESOURCES:
        capacity = columns.amounts(columns.allocatable, resource)
        used = columns.amounts(columns.requested, resource) + more[resource]
        there = capacity > 0
        fractions.append(np.minimum(used / np.where(there, capacity, 1), 1.0))
        present.append(there)
    spread = np.where(present[0] & present[1], np.abs(fractions[0] - fractions[1]) / 2, 0.0)
    return np.floor((1 - spread) * MOST)


PLUGIN = Plugin("NodeResourcesBalancedAllocation", score=score)
