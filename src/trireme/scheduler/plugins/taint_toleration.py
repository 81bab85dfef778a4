"""TaintToleration: untolerated taints exclude nodes (NoSchedule, NoExecute) or lower their
score."""

from __future__ import annotations

import numpy as np

from trireme.api.core.v1 import selection
from trireme.domain import tolerations
from trireme.scheduler.framework import MOST, Floats, Plugin, PodInfo, Unschedulable, normalised
from trireme.scheduler.snapshot.columns import Bools, View

REASON = "node(s) had untolerated taint(s)"
_HARD = ("NoSchedule", "NoExecute")


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes with a taint that the pod does not tolerate."""
    refused: Bools | None = None
    for taint, rows in view.columns.taints.items():
        if taint[2] in _HARD and not _tolerated(pod_info, taint):
            here = rows[view.rows]
            refused = here if refused is None else refused | here
    return None if refused is None else [Unschedulable(refused, REASON, unresolvable=True)]


def score(view: View, pod_info: PodInfo, feasible: Bools | None) -> Floats | float | None:
    """The fewer untolerated PreferNoSchedule taints, the better."""
    counts: Floats | None = None
    for taint, rows in view.columns.taints.items():
        if taint[2] == "PreferNoSchedule" and not _tolerated(pod_info, taint):
            if counts is None:
                counts = np.zeros(view.size, np.float64)
            counts += rows[view.rows]
    if counts is None or feasible is None:
        return MOST
    return normalised(counts, feasible, reverse=True)


def _tolerated(pod_info: PodInfo, taint: tuple[str, str, str]) -> bool:
    key, value, effect = taint
    typed = selection.Taint(key=key, value=value, effect=effect)
    return tolerations.tolerates(pod_info.pod.spec.tolerations, typed)


PLUGIN = Plugin("TaintToleration", filter=refuse, score=score, local_score=False)
