"""``local``: a directory or a block device of one node, behind a PersistentVolume.

Rules: concepts/storage/volumes#local; upstream pkg/volume/local. The directory is mounted into the
pod's folder, so that it can be shared and made read-only. A block device is mounted once for all
pods, formatted where it has no file system.
"""

from __future__ import annotations

from trireme.domain import volumes
from trireme.kubelet.host.contract import Host
from trireme.kubelet.volumes import block_device, expand, ownership
from trireme.kubelet.volumes.plugin import Claimed, Mounted, Mounting, Plugin, VolumeError

DIRECTORY = "kubernetes.io~local-volume"


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
    path, origin, options = mounting.directory, source.path, claimed.volume.spec.mountOptions
    if not host.is_mounted(path):
        # First, so that ``release`` finds that a pod has it.
        host.make_dirs(path, 0o750)
        if info.kind == "block":
            origin = await _mount_device(mounting, claimed)
            options = []
        bind = ["bind", *options]
        await host.mount(origin, path, "", [*bind, "ro"] if claimed.read_only else bind)
    if not claimed.read_only:
        await ownership.give(host, path, mounting.pod)
    await refresh(mounting, claimed)
    return Mounted(path, claimed.read_only)


async def refresh(mounting: Mounting, claimed: Claimed) -> None:
    """Grow the file system of a device that became larger; a directory has no size."""
    source, volume = claimed.volume.spec.local, claimed.volume
    assert source is not None
    size = expand.new_size(claimed.claim, volume)
    if not size or claimed.read_only or volumes.mode_of(volume) == "Block":
        return

    async def grow(_: int) -> None:
        info = mounting.host.info(source.path)
        if info is not None and info.kind == "block":
            path = f"{_mounts(mounting.root)}/{volume.metadata.name}"
            await block_device.grow(mounting.host, source.path, path)

    name = volume.metadata.name
    await mounting.expander.expand(mounting.pod, claimed.claim, name, size, grow)


async def _mount_device(mounting: Mounting, claimed: Claimed) -> str:
    """The directory where the device's file system is mounted."""
    source, host = claimed.volume.spec.local, mounting.host
    assert source is not None
    path = f"{_mounts(mounting.root)}/{claimed.volume.metadata.name}"
    if not host.is_mounted(path):
        host.make_dirs(path, 0o750)
        await block_device.mount(
            host,
            source.path,
            path,
            source.fsType or "",
            claimed.volume.spec.mountOptions,
            may_format=not claimed.read_only,
        )
    return path


def release(host: Host, root: str) -> None:
    """Unmount the devices that no pod has any more."""
    for name in host.list(_mounts(root)):
        pods = host.list(f"{root}/pods")
        if any(host.info(f"{root}/pods/{uid}/volumes/{DIRECTORY}/{name}") for uid in pods):
            continue
        path = f"{_mounts(root)}/{name}"
        if host.is_mounted(path):
            host.unmount(path)
        with host.open_root(_mounts(root)) as mounts:
            # Never its files: a pod may have mounted it again.
            mounts.remove(name)


def _mounts(root: str) -> str:
    return f"{root}/plugins/kubernetes.io/local-volume/mounts"


PLUGIN = Plugin("local", DIRECTORY, mount_claimed=mount_claimed, refresh=refresh, release=release)
