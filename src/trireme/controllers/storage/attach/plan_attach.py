"""Which volumes a node should have attached, and which may go. Pure.

In: the pods of a node with their claims and volumes, the node, its VolumeAttachments. Out:
``Plan``. Called by ``reconcile``. Upstream: pkg/controller/volume/attachdetach, pkg/volume/csi;
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume-attachment-v1/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from trireme.api.core.v1.node_types import AttachedVolume, Node
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.storage.v1.volumeattachment import VolumeAttachment
from trireme.domain import owners, pods, volumes

OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
# So long an unhealthy node is waited for to unmount, in seconds.
MAX_WAIT_FOR_UNMOUNT: Final = 360.0
# ``volumes.attachment_name``'s form; the volume of an attachment may be gone.
_NAME: Final = re.compile("csi-[0-9a-f]{64}")
_SHARED: Final = ("ReadWriteMany", "ReadOnlyMany")


@dataclass(frozen=True)
class Desired:
    """A volume that pods of a node need there."""

    volume: PersistentVolume
    pods: list[Pod] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """``attach`` lacks a VolumeAttachment; ``blocked`` is attached to another node, which ``by``
    names; ``detach`` may go; ``reported`` is what the node has; ``wait``: seconds until
    a volume of an unhealthy node may go."""

    attach: list[Desired]
    blocked: list[tuple[Desired, list[str]]]
    detach: list[VolumeAttachment]
    reported: list[AttachedVolume]
    wait: float | None


def uses_volumes(pod: Pod) -> bool:
    """Whether the pod still needs its volumes at its node."""
    if not pod.spec.nodeName or pods.is_finished(pod):
        return False
    if pod.metadata.deletionTimestamp is None:
        return True
    statuses = (*pod.status.containerStatuses, *pod.status.initContainerStatuses)
    return not statuses or any(status.state.running is not None for status in statuses)


def desired(
    here: Iterable[Pod],
    claim_of: Callable[[str, str], PersistentVolumeClaim | None],
    volume_of: Callable[[str], PersistentVolume | None],
    is_attachable: Callable[[str], bool],
) -> dict[str, Desired]:
    """The volumes that the pods of a node need, by name: those bound to their claims whose driver
    (``is_attachable``) attaches them."""
    found: dict[str, Desired] = {}
    for pod in here:
        if not uses_volumes(pod):
            continue
        for claim in _claims(pod, claim_of):
            volume = volume_of(claim.spec.volumeName) if claim.spec.volumeName else None
            if volume is None or volume.spec.csi is None or volume.spec.claimRef is None:
                continue
            if volume.spec.claimRef.uid != claim.metadata.uid:
                continue
            if is_attachable(volume.spec.csi.driver):
                found.setdefault(volume.metadata.name, Desired(volume)).pods.append(pod)
    return found


def _claims(
    pod: Pod, claim_of: Callable[[str, str], PersistentVolumeClaim | None]
) -> Iterable[PersistentVolumeClaim]:
    namespace = pod.metadata.namespace
    for source in pod.spec.volumes:
        if source.persistentVolumeClaim is not None:
            found = claim_of(namespace, source.persistentVolumeClaim.claimName)
            if found is not None:
                yield found
        elif source.ephemeral is not None:
            found = claim_of(namespace, f"{pod.metadata.name}-{source.name}")
            if found is not None and owners.controls(pod, found.metadata):
                yield found


def is_shared(volume: PersistentVolume) -> bool:
    """Whether several nodes may have the volume at once."""
    modes = volume.spec.accessModes
    return not modes or any(mode in _SHARED for mode in modes)


def plan(
    node: Node | None,
    desired_here: Mapping[str, Desired],
    here: Iterable[VolumeAttachment],
    elsewhere: Callable[[str], Iterable[str]],
    volume_of: Callable[[str], PersistentVolume | None],
    undesired_since: Mapping[str, float],
    now: float,
    max_wait: float = MAX_WAIT_FOR_UNMOUNT,
) -> Plan:
    """What to do for one node. ``elsewhere`` gives the other nodes that have a volume;
    ``undesired_since`` when an attachment was first seen to be needed no longer (seconds).
    Attachments under names that this controller does not give are somebody else's."""
    attached = {
        item.spec.source.persistentVolumeName or "": item
        for item in here
        if _NAME.fullmatch(item.metadata.name)
    }
    attach: list[Desired] = []
    blocked: list[tuple[Desired, list[str]]] = []
    for name, needed in desired_here.items():
        if name in attached:
            continue
        others = [] if is_shared(needed.volume) else sorted(elsewhere(name))
        if others:
            blocked.append((needed, others))
        else:
            attach.append(needed)
    detach: list[VolumeAttachment] = []
    reported: list[AttachedVolume] = []
    waits: list[float] = []
    for name, item in sorted(attached.items()):
        volume = volume_of(name)
        unique = (
            volumes.unique_name(volume)
            if volume is not None and volume.spec.csi is not None
            else ""
        )
        if name not in desired_here:
            left = _wait(node, unique, undesired_since.get(name, now) + max_wait - now)
            if left == 0.0:
                detach.append(item)
                continue
            if left is not None:
                waits.append(left)
        if item.status.attached and unique:
            reported.append(AttachedVolume(name=unique, devicePath=""))
    return Plan(attach, blocked, detach, reported, min(waits, default=None))


def forced(node: Node | None, volume: PersistentVolume | None) -> str:
    """Why a volume is detached that the node has mounted as far as it says: timeout,
    out-of-service; "" where it is unmounted, or the node is gone."""
    if node is None or volume is None or volume.spec.csi is None:
        return ""
    if volumes.unique_name(volume) not in node.status.volumesInUse:
        return ""
    out = any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)
    return "out-of-service" if out else "timeout"


def _wait(node: Node | None, unique: str, longest: float) -> float | None:
    """Seconds until a volume may be detached that nobody needs: 0 for now, None as long as the
    node has it mounted, ``longest`` where the node is not healthy."""
    if node is None or unique not in node.status.volumesInUse:
        return 0.0
    if any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints):
        return 0.0
    if any(item.type == "Ready" and item.status == "True" for item in node.status.conditions):
        return None
    return max(0.0, longest)
