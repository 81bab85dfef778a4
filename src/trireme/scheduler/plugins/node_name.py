"""NodeName: a pod that names a node runs there or nowhere."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import Plugin, Refusal, Subject
from trireme.scheduler.snapshot.columns import Columns

REASON = "node(s) didn't match the requested node name"


def refuse(columns: Columns, subject: Subject) -> list[Refusal] | None:
    """Every node but the one named."""
    wanted = subject.pod.spec.nodeName
    if not wanted:
        return None
    others = np.ones(columns.size, np.bool_)
    row = columns.row_of(wanted)
    if row is not None:
        others[row] = False
    return [Refusal(others, REASON, final=True)]


PLUGIN = Plugin("NodeName", filter=refuse)
