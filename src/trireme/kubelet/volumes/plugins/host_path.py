"""``hostPath``: a file or directory of the node.

Rules: concepts/storage/volumes#hostpath. The type is checked before the container starts, and not
again.
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.domain import volumes
from trireme.kubelet.host.contract import Host
from trireme.kubelet.volumes.plugin import Claimed, Mounted, Mounting, Plugin, VolumeError

_KINDS = {
    "Directory": ("dir", "a directory"),
    "DirectoryOrCreate": ("dir", "a directory"),
    "File": ("file", "a file"),
    "FileOrCreate": ("file", "a file"),
    "Socket": ("socket", "a socket file"),
    "CharDevice": ("char", "a character device"),
    "BlockDevice": ("block", "a block device"),
}


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    assert volume.hostPath is not None
    return _checked(mounting.host, volume.hostPath)


async def mount_claimed(mounting: Mounting, claimed: Claimed) -> Mounted:
    source = claimed.volume.spec.hostPath
    assert source is not None
    block = volumes.mode_of(claimed.volume) == "Block"
    return Mounted(_checked(mounting.host, source), claimed.read_only, device=block)


def _checked(host: Host, source: core.HostPathVolumeSource) -> str:
    kind = source.type or ""
    if kind:
        _check(host, source.path, kind)
    return source.path


def _check(host: Host, path: str, kind: str) -> None:
    if kind not in _KINDS:
        raise VolumeError(f"{kind} is an invalid volume type")
    if host.info(path) is None:
        if kind == "DirectoryOrCreate":
            host.make_dirs(path, 0o755)
        elif kind == "FileOrCreate":
            host.write(path, b"", 0o644)
    info = host.info(path)
    expected, words = _KINDS[kind]
    if info is None or info.kind != expected:
        raise VolumeError(f"hostPath type check failed: {path} is not {words}")


PLUGIN = Plugin("hostPath", "kubernetes.io~host-path", mount, mount_claimed=mount_claimed)
