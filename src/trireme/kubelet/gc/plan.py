"""Which containers, sandboxes and images to remove. Pure.

In: what the runtime lists, which pods live, how full the disk is. Out: ids. Called by
gc/collector. Rules: reference "Restart" (one dead container for each name in a live pod), "Images"
(from 85 % down to 80 %, oldest first, at least two minutes old).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from trireme.kubelet import labels
from trireme.kubelet.cri import model
from trireme.kubelet.cri.model import ContainerState, SandboxState
from trireme.kubelet.host.contract import DiskUsage

KEEP_DEAD = 1


class Removal(msgspec.Struct, frozen=True):
    containers: tuple[str, ...] = ()
    sandboxes: tuple[str, ...] = ()


def dead(
    sandboxes: Sequence[model.Sandbox],
    containers: Sequence[model.Container],
    live: Collection[str],
    ended: Collection[str] = (),
) -> Removal:
    """The dead ones. ``live``: UIDs of pods with a worker; containers of others are left to the
    housekeeping of orphans. Of ``ended`` pods no dead container is kept."""
    groups: dict[tuple[str, str], list[model.Container]] = {}
    for container in containers:
        uid = container.labels.get(labels.POD_UID, "")
        if uid in live and container.state != ContainerState.RUNNING:
            name = container.labels.get(labels.CONTAINER_NAME, "")
            groups.setdefault((uid, name), []).append(container)
    doomed: list[str] = []
    for (uid, _), group in groups.items():
        group.sort(key=lambda c: (-c.created_at, -c.metadata.attempt))
        doomed += [container.id for container in group[0 if uid in ended else KEEP_DEAD :]]
    left = {c.pod_sandbox_id for c in containers if c.id not in set(doomed)}
    newest: dict[str, model.Sandbox] = {}
    for sandbox in sandboxes:
        known = newest.get(sandbox.metadata.uid)
        if known is None or sandbox.created_at > known.created_at:
            newest[sandbox.metadata.uid] = sandbox
    old = [
        sandbox.id
        for sandbox in sandboxes
        if sandbox.metadata.uid in live
        and sandbox.state != SandboxState.READY
        and sandbox.id not in left
        and newest[sandbox.metadata.uid] is not sandbox
    ]
    return Removal(tuple(doomed), tuple(old))


class ImageUse(msgspec.Struct):
    """When an image was first detected and last used (epoch seconds)."""

    first_detected: float
    last_used: float = 0.0


def images_to_remove(
    images: Sequence[model.Image],
    uses: Mapping[str, ImageUse],
    in_use: Collection[str],
    disk: DiskUsage,
    *,
    high: int,
    low: int,
    min_age: float,
    now: float,
) -> list[str]:
    """Ids in the order of removal; empty below the high mark (percent)."""
    if disk.capacity <= 0 or disk.used * 100 < disk.capacity * high:
        return []
    to_free = disk.used - disk.capacity * low // 100
    selected: list[str] = []
    for image in unused(images, uses, in_use, min_age=min_age, now=now):
        if to_free <= 0:
            break
        selected.append(image.id)
        to_free -= image.size
    return selected


def unused(
    images: Sequence[model.Image],
    uses: Mapping[str, ImageUse],
    in_use: Collection[str],
    *,
    min_age: float,
    now: float,
) -> list[model.Image]:
    """Those that may be removed, in that order."""
    found = [
        image
        for image in images
        if image.id not in in_use
        and not image.pinned
        and image.id in uses
        and now - uses[image.id].first_detected >= min_age
    ]
    return sorted(found, key=lambda i: (uses[i.id].last_used, uses[i.id].first_detected, i.id))
