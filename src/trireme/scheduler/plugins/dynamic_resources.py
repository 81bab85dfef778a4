"""DynamicResources: no device is allocated here, so no node fits a pod with ResourceClaims.

The kubelet would fail such a pod, and its workload would make the next one without end.
"""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import View

REASON = "cannot allocate all claims"


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """All nodes, for a pod that has claims."""
    if not pod_info.pod.spec.resourceClaims:
        return None
    return [Unschedulable(np.ones(view.size, np.bool_), REASON, unresolvable=True)]


PLUGIN = Plugin("DynamicResources", filter=refuse, local_filter=False)
