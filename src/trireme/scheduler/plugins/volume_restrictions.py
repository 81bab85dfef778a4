"""VolumeRestrictions: a volume for one pod is not given to a second, a disk not to two writers.

Upstream: pkg/scheduler/framework/plugins/volumerestrictions; KEP-2485 (ReadWriteOncePod).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.volumes import Volume
from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import Bools, View

IN_USE: Final = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already "
    "in-use by another pod"
)
DISK_CONFLICT: Final = "node(s) had no available disk"
# A disk, and whether it is only read; two that overlap conflict, unless both only read.
_Disk = tuple[str, frozenset[str], bool]


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """All nodes where a claim for one pod is taken; those that have one of the pod's disks."""
    disks = list(_disks(pod_info.pod))
    taken = pod_info.volumes is not None and pod_info.volumes.taken
    if not disks and not taken:
        return None
    found = []
    if disks:
        conflict: Bools = np.zeros(view.size, np.bool_)
        for pod, row in view.columns.pods():
            if any(_conflicts(mine, other) for mine in disks for other in _disks(pod)):
                conflict[row] = True
        found.append(Unschedulable(conflict, DISK_CONFLICT))
    if taken:
        found.append(Unschedulable(np.ones(view.size, np.bool_), IN_USE))
    return found


def _disks(pod: Pod) -> Iterator[_Disk]:
    for volume in pod.spec.volumes:
        for read in _SORTS:
            disk = read(volume)
            if disk is not None:
                yield disk


def _conflicts(one: _Disk, other: _Disk) -> bool:
    return one[0] == other[0] and bool(one[1] & other[1]) and not (one[2] and other[2])


def _gce(volume: Volume) -> _Disk | None:
    source = volume.gcePersistentDisk
    return None if source is None else ("gce", frozenset({source.pdName}), source.readOnly)


def _aws(volume: Volume) -> _Disk | None:
    source = volume.awsElasticBlockStore
    # A second attachment is refused even if both only read.
    return None if source is None else ("aws", frozenset({source.volumeID}), False)


def _iscsi(volume: Volume) -> _Disk | None:
    source = volume.iscsi
    return None if source is None else ("iscsi", frozenset({source.iqn}), source.readOnly)


def _rbd(volume: Volume) -> _Disk | None:
    source = volume.rbd
    if source is None:
        return None
    return f"rbd {source.pool} {source.image}", frozenset(source.monitors or ()), source.readOnly


_SORTS: Final[tuple[Callable[[Volume], _Disk | None], ...]] = (_gce, _aws, _iscsi, _rbd)

PLUGIN = Plugin("VolumeRestrictions", filter=refuse, local_filter=False)
