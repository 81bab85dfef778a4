"""The plugin interface: filters and scores over columns, and their arguments and results.

A filter decides for every node at once whether the pod may run there, with a reason; a score rates
each node. Both get a view of the columns and the pod (``PodInfo``). Most depend on each node by
itself (``local``): their results are cached for the next pod with the same signature
(``score_cache``). The vector form changes nothing of what a plugin decides: upstream's scheduling
framework,
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.pod.pod import Pod
from trireme.domain.scheduling_requests import Request
from trireme.machinery import labels
from trireme.scheduler.signature import Signature
from trireme.scheduler.snapshot.columns import Bools, View
from trireme.scheduler.volumes.model import PodVolumes

Floats = NDArray[np.float64]
MOST = 100.0


@dataclass(frozen=True)
class PodInfo:
    """The pod to be scheduled. ``default_selector`` is that of its workload and Services, for the
    system's default spreading; ``namespaces`` are the labels of all namespaces; ``volumes`` is None
    for a pod without claims."""

    pod: Pod
    signature: Signature
    default_selector: labels.Selector | None = None
    namespaces: Mapping[str, dict[str, str]] = field(default_factory=dict)
    volumes: PodVolumes | None = None

    @property
    def request(self) -> Request:
        return self.signature.request

    @property
    def priority(self) -> int:
        return self.pod.spec.priority or 0


@dataclass(frozen=True)
class Unschedulable:
    """The nodes that a filter refuses for one reason. ``unresolvable``: no preemption would help
    (UnschedulableAndUnresolvable). A node in two statuses of a filter gives both reasons."""

    rows: Bools
    reason: str
    unresolvable: bool = False


# None: the plugin does not apply to this pod (Skip).
Filter = Callable[[View, PodInfo], list[Unschedulable] | None]
# The score of each node, 0 to 100 (one number: all the same), given which nodes are feasible; a
# local score gets None, as it must not depend on that.
Score = Callable[[View, PodInfo, "Bools | None"], "Floats | float | None"]


@dataclass(frozen=True)
class Plugin:
    """One plugin; its position and weight are the profile's. ``local``: its result for a node
    depends on nothing but that node, the pods on it and the pod's signature."""

    name: str
    filter: Filter | None = None
    score: Score | None = None
    local_filter: bool = True
    local_score: bool = True


def normalised(raw: Floats, feasible: Bools, *, reverse: bool = False) -> Floats:
    """Scale to 0..100 by the largest raw score among the feasible nodes, as upstream does."""
    most = float(raw[feasible].max()) if feasible.any() else 0.0
    if most == 0:
        return np.full(len(raw), MOST if reverse else 0.0)
    scaled = np.floor(MOST * raw / most)
    return MOST - scaled if reverse else scaled
