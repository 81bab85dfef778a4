"""NodeVolumeLimits: a node has no more volumes of a CSI driver than the driver can attach there.

Upstream: pkg/scheduler/framework/plugins/nodevolumelimits;
https://kubernetes.io/docs/concepts/storage/storage-limits/.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import Bools, View

REASON: Final = "node(s) exceed max volume count"


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes where the pod's volumes would be too many."""
    pod_volumes = pod_info.volumes
    if pod_volumes is None or not pod_volumes.handles:
        return None
    full: Bools = np.zeros(view.size, np.bool_)
    for driver, mine in pod_volumes.handles.items():
        there = pod_volumes.limits.there.get(driver, {})
        for node, most in pod_volumes.limits.most.get(driver, {}).items():
            row = view.columns.row_of(node)
            held = there.get(node, frozenset())
            new = mine - held
            # What is there already is not counted again.
            if row is not None and new and len(held | mine) > most:
                full[row] = True
    return [Unschedulable(full, REASON)] if full.any() else []


PLUGIN = Plugin("NodeVolumeLimits", filter=refuse, local_filter=False)
