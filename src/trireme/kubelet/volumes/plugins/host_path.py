"""``hostPath``: a file or directory of the node.

Rules: concepts/storage/volumes#hostpath. The check is made before the container starts and not
again: what the node does with the path later is its business.
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.host.contract import Host
from trireme.kubelet.volumes.plugin import Mounting, Plugin, VolumeError

_WANTED = {
    "Directory": ("dir", "a directory"),
    "DirectoryOrCreate": ("dir", "a directory"),
    "File": ("file", "a file"),
    "FileOrCreate": ("file", "a file"),
    "Socket": ("socket", "a socket file"),
    "CharDevice": ("char", "a character device"),
    "BlockDevice": ("block", "a block device"),
}


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    source = volume.hostPath
    assert source is not None
    kind = source.type or ""
    if kind:
        _check(mounting.host, source.path, kind)
    return source.path


def _check(host: Host, path: str, kind: str) -> None:
    if kind not in _WANTED:
        raise VolumeError(f"{kind} is an invalid volume type")
    if host.info(path) is None:
        if kind == "DirectoryOrCreate":
            host.make_dirs(path, 0o755)
        elif kind == "FileOrCreate":
            host.write(path, b"", 0o644)
    info = host.info(path)
    wanted, words = _WANTED[kind]
    if info is None or info.kind != wanted:
        raise VolumeError(f"hostPath type check failed: {path} is not {words}")


PLUGIN = Plugin("hostPath", "kubernetes.io~host-path", mount)
