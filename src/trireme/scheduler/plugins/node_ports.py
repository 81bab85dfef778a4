"""NodePorts: a host port is free once per node, protocol and address."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import View

REASON = "node(s) didn't have free ports for the requested pod ports"


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes where one of the pod's host ports is in use."""
    if not pod_info.request.ports:
        return None
    taken = np.zeros(view.size, np.bool_)
    for port in pod_info.request.ports:
        here = view.columns.ports_taken(view.rows, port)
        if here is not None:
            taken |= here
    return [Unschedulable(taken, REASON)] if taken.any() else None


PLUGIN = Plugin("NodePorts", filter=refuse)
