"""``local``: a directory or a block device of one node, behind a PersistentVolume.

Rules: concepts/storage/volumes#local; upstream pkg/volume/local. The directory is mounted into the
pod's folder, so that it can be shared and made read-only. A block device that has to be formatted
is refused by name: its file system is the administrator's to make and mount.
"""

from __future__ import annotations

from trireme.domain import volumes
from trireme.kubelet.volumes import ownership
from trireme.kubelet.volumes.plugin import Claimed, Mounted, Mounting, Plugin, VolumeError


async def mount_claimed(mounting: Mounting, claimed: Claimed) -> Mounted:
    source, host = claimed.volume.spec.local, mounting.host
    assert source is not None
    info = host.info(source.path)
    if info is None:
        raise VolumeError(f'path "{source.path}" does not exist')
    if volumes.mode_of(claimed.volume) == "Block":
        if info.kind != "block":
            raise VolumeError(f'path "{source.path}" is not a block device')
        return Mounted(source.path, claimed.read_only, device=True)
    if info.kind == "block":
        raise VolumeError(
            f'path "{source.path}" is a block device: it is not formatted for you, make a file '
            "system on it, mount it, and name its mount point"
        )
    path = mounting.directory
    if not host.is_mounted(path):
        host.make_dirs(path, 0o750)
        options = ["bind", *claimed.volume.spec.mountOptions]
        await host.mount(source.path, path, "", [*options, "ro"] if claimed.read_only else options)
    if not claimed.read_only:
        await ownership.give(host, path, mounting.pod)
    return Mounted(path, claimed.read_only)


PLUGIN = Plugin("local", "kubernetes.io~local-volume", mount_claimed=mount_claimed)
