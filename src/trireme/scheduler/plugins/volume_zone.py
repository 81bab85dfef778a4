"""VolumeZone: a bound volume with zone labels is used in its zone.

Upstream: pkg/scheduler/framework/plugins/volumezone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import MISSING, Bools, Ints, View

REASON: Final = "node(s) had no available volume zone"
# Label of a volume, and the newer one that a node may have instead.
_LABELS: Final = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
}
# Between the zones of a volume that is in several.
_SEPARATOR: Final = "__"


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes in another zone or region than a volume; nodes without such labels are in all."""
    pod_volumes = pod_info.volumes
    if pod_volumes is None:
        return None
    topologies = [
        (key, set(text.split(_SEPARATOR)))
        for volume in pod_volumes.bound
        for key, text in volume.metadata.labels.items()
        if key in _LABELS
    ]
    if not topologies:
        return None
    constrained: Bools = np.zeros(view.size, np.bool_)
    for key in _LABELS:
        constrained |= view.label(key) != MISSING
    conflict: Bools = np.zeros(view.size, np.bool_)
    for key, values in topologies:
        here = _in(view, key, values)
        newer = _LABELS[key]
        if newer != key:
            absent: Ints = view.label(key)
            here |= (absent == MISSING) & _in(view, newer, values)
        conflict |= ~here
    return [Unschedulable(constrained & conflict, REASON, unresolvable=True)]


def _in(view: View, key: str, values: set[str]) -> Bools:
    return np.isin(view.label(key), [view.columns.interned(key, value) for value in values])


PLUGIN = Plugin("VolumeZone", filter=refuse, local_filter=False)
