"""``emptyDir``: a directory, or a tmpfs, that lives as long as the pod.

Rules: concepts/storage/volumes#emptydir. Huge pages are refused by name.
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet import podresources
from trireme.kubelet.volumes import ownership
from trireme.kubelet.volumes.plugin import Mounting, Plugin, VolumeError
from trireme.machinery import quantity

MODE = 0o777
# Linux's for a tmpfs, which upstream leaves as it is.
TMPFS_MODE = 0o1777


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    source = volume.emptyDir
    assert source is not None
    host, path = mounting.host, mounting.directory
    if host.info(path) is not None:
        return path
    if source.medium not in ("", "Memory"):
        raise VolumeError(f"emptyDir medium {source.medium!r} is not supported")
    host.make_dirs(path, MODE)
    if source.medium == "Memory":
        host.mount_tmpfs(path, _size(mounting, source))
        host.chmod(path, TMPFS_MODE)
    with host.open_root(path) as root:
        ownership.apply(root, "", mounting.pod)
    return path


def _size(mounting: Mounting, source: core.EmptyDirVolumeSource) -> int:
    """The smallest of sizeLimit, the pod's memory limit and the node's memory."""
    known = [podresources.value(dict(mounting.allocatable), "memory")]
    if source.sizeLimit:
        known.append(quantity.parse(source.sizeLimit).value())
    if podresources.all_declare(mounting.pod, "memory"):
        known.append(podresources.pod_limits(mounting.pod).get("memory", 0))
    return min((value for value in known if value), default=0)


PLUGIN = Plugin("emptyDir", "kubernetes.io~empty-dir", mount)
