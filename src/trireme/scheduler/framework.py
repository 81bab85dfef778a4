"""What a plugin is, and the values that it sees and gives.

A filter says for every node at once whether the pod may run there, and why not; a score says how
good each node is. Both get the columns and the pod with what was worked out about it (``Subject``).
The vector form changes nothing of what a plugin decides: upstream's scheduling framework,
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.pod.pod import Pod
from trireme.scheduler.snapshot.columns import Bools, Columns
from trireme.scheduler.snapshot.requests import Request

Floats = NDArray[np.float64]
MOST = 100.0


@dataclass(frozen=True)
class Subject:
    """The pod to be placed. ``default_selector`` is that of the workload or Service that it belongs
    to, by which the system spreads it; ``namespaces`` are the labels of all namespaces."""

    pod: Pod
    request: Request
    default_selector: dict[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """The nodes that a filter refuses for one reason. ``final``: no preemption would help."""

    rows: Bools
    reason: str
    final: bool = False


# None: the plugin has nothing to say about this pod.
Filter = Callable[[Columns, Subject], list[Refusal] | None]
# The score of each node, 0 to 100, given which nodes are feasible.
Score = Callable[[Columns, Subject, Bools], Floats | None]


@dataclass(frozen=True)
class Plugin:
    """One plugin; its place in the order and its weight are the profile's."""

    name: str
    filter: Filter | None = None
    score: Score | None = None


def normalised(raw: Floats, feasible: Bools, *, reverse: bool = False) -> Floats:
    """Scale to 0..100 by the largest raw score among the feasible nodes, as upstream does."""
    most = float(raw[feasible].max()) if feasible.any() else 0.0
    if most == 0:
        return np.full(len(raw), MOST if reverse else 0.0)
    scaled = np.floor(MOST * raw / most)
    return MOST - scaled if reverse else scaled
