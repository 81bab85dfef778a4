"""``csi``: the volumes of CSI drivers that are registered on the node.

Rules: concepts/storage/volumes#csi, concepts/storage/ephemeral-volumes#csi-ephemeral-volumes. A
file-system label for the whole mount (``seLinuxMount``) is not passed on: no node here has SELinux.
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.volumes.plugin import (
    Claimed,
    CsiVolumes,
    Mounted,
    Mounting,
    Plugin,
    VolumeError,
)


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    return await _volumes(mounting).mount(mounting, volume)


async def mount_claimed(mounting: Mounting, claimed: Claimed) -> Mounted:
    return await _volumes(mounting).mount_claimed(mounting, claimed)


async def refresh(mounting: Mounting, claimed: Claimed) -> None:
    await _volumes(mounting).refresh(mounting, claimed)


def _volumes(mounting: Mounting) -> CsiVolumes:
    if mounting.csi is None:
        raise VolumeError("this node has no CSI drivers")
    return mounting.csi


PLUGIN = Plugin("csi", "kubernetes.io~csi", mount, mount_claimed=mount_claimed, refresh=refresh)
