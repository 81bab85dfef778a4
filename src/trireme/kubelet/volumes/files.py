"""Publish a payload as a volume's directory.

In: a ``Mounting`` and its files. Out: the directory, with its content replaced atomically. Called
by the plugins whose content comes from the API.
"""

from __future__ import annotations

from collections.abc import Mapping

from trireme.kubelet.volumes import atomic, ownership
from trireme.kubelet.volumes.atomic import File
from trireme.kubelet.volumes.plugin import Mounting, VolumeError


async def publish(
    mounting: Mounting, content: Mapping[str, File], *, in_memory: bool = False
) -> str:
    """``in_memory``: secrets must not reach a disk."""
    host, path = mounting.host, mounting.directory
    if host.info(path) is None:
        host.make_dirs(path, 0o777)
        if in_memory and mounting.memory_backed:
            host.mount_tmpfs(path)
            host.chmod(path, 0o777)
    try:
        await atomic.write(
            host,
            path,
            content,
            mounting.stamp(),
            lambda root, new: ownership.apply(root, new, mounting.pod, read_only=True),
        )
    except ValueError as problem:
        raise VolumeError(str(problem)) from problem
    return path
