"""``nfs``: a directory of an NFS server, mounted with the node's ``mount.nfs``.

Rules: concepts/storage/volumes#nfs; upstream pkg/volume/nfs. Owners and modes are the server's:
``fsGroup`` changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from trireme.api.core import v1 as core
from trireme.kubelet.volumes.plugin import Claimed, Mounted, Mounting, Plugin


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    source = volume.nfs
    assert source is not None
    await _mount(mounting, source, (), read_only=source.readOnly)
    return mounting.directory


async def mount_claimed(mounting: Mounting, claimed: Claimed) -> Mounted:
    source = claimed.volume.spec.nfs
    assert source is not None
    read_only = claimed.read_only or source.readOnly
    await _mount(mounting, source, claimed.volume.spec.mountOptions, read_only=read_only)
    return Mounted(mounting.directory, read_only)


async def _mount(
    mounting: Mounting, source: core.NFSVolumeSource, options: Sequence[str], *, read_only: bool
) -> None:
    host, path = mounting.host, mounting.directory
    if host.is_mounted(path):
        return
    host.make_dirs(path, 0o750)
    server = f"[{source.server}]" if ":" in source.server else source.server
    given = [*options, "ro"] if read_only else options
    await host.mount(f"{server}:{source.path}", path, "nfs", given)


PLUGIN = Plugin("nfs", "kubernetes.io~nfs", mount, mount_claimed=mount_claimed)
