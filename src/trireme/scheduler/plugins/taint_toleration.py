"""TaintToleration: taints keep pods away, softly or not, unless they are tolerated."""

from __future__ import annotations

import numpy as np

from trireme.api.core.v1 import selection
from trireme.domain import tolerations
from trireme.scheduler.framework import Floats, Plugin, Refusal, Subject, normalised
from trireme.scheduler.snapshot.columns import Bools, Columns

REASON = "node(s) had untolerated taint(s)"
_HARD = ("NoSchedule", "NoExecute")


def refuse(columns: Columns, subject: Subject) -> list[Refusal] | None:
    """The nodes with a taint that the pod does not tolerate."""
    refused = np.zeros(columns.size, np.bool_)
    for taint, rows in columns.taints.items():
        if taint[2] in _HARD and not _tolerated(subject, taint):
            refused |= rows[: columns.size]
    return [Refusal(refused, REASON, final=True)] if refused.any() else None


def score(columns: Columns, subject: Subject, feasible: Bools) -> Floats | None:
    """The fewer untolerated soft taints, the better."""
    counts = np.zeros(columns.size, np.float64)
    for taint, rows in columns.taints.items():
        if taint[2] == "PreferNoSchedule" and not _tolerated(subject, taint):
            counts += rows[: columns.size]
    return normalised(counts, feasible, reverse=True)


def _tolerated(subject: Subject, taint: tuple[str, str, str]) -> bool:
    key, value, effect = taint
    wanted = selection.Taint(key=key, value=value, effect=effect)
    return tolerations.tolerates(subject.pod.spec.tolerations, wanted)


PLUGIN = Plugin("TaintToleration", filter=refuse, score=score)
