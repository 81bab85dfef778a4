"""Mount and remove the volumes of pods.

In: a pod. Out: volume name to ``Mounted``, or ``VolumeError``. Called by workers in each round and
when a pod has ended. Rules: reference "Volumes". Keeps no state: what is mounted is read from the
kubelet's root directory, so a restarted kubelet cleans up what another one made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trireme.api.core import v1 as core
from trireme.kit import catalog
from trireme.kit.env import Env
from trireme.kubelet.host.contract import Host
from trireme.kubelet.volumes import plugins
from trireme.kubelet.volumes.plugin import (
    Mounted,
    Mounting,
    Objects,
    Plugin,
    Tokens,
    VolumeError,
)
from trireme.machinery.errors import ApiError


class VolumeManager:
    """Volumes under ``<root>/pods/<uid>``."""

    def __init__(
        self,
        env: Env,
        host: Host,
        root: str,
        objects: Objects,
        tokens: Tokens,
        allocatable: Callable[[], Mapping[str, str]],
        *,
        memory_backed: bool = True,
    ) -> None:
        self._env = env
        self._host = host
        self._root = root
        self._objects = objects
        self._tokens = tokens
        self._allocatable = allocatable
        self._memory_backed = memory_backed
        self._plugins: dict[str, Plugin] = {
            plugin.field: plugin for plugin in catalog.instances(plugins, Plugin)
        }

    def pod_dir(self, uid: str) -> str:
        return f"{self._root}/pods/{uid}"

    async def mount(self, pod: core.Pod) -> dict[str, Mounted]:
        """Set up, or bring up to date, every volume of ``pod``. Raises ``VolumeError``."""
        return {volume.name: await self._mount_one(pod, volume) for volume in pod.spec.volumes}

    def make_pod_dirs(self, pod: core.Pod) -> None:
        directory = self.pod_dir(pod.metadata.uid)
        for name in ("volumes", "plugins", "containers"):
            self._host.make_dirs(f"{directory}/{name}", 0o750)

    async def unmount(self, uid: str) -> None:
        """Take down a pod's volumes; its termination messages stay readable."""
        directory = self.pod_dir(uid)
        if self._host.info(directory) is None:
            return
        for point in self._host.mounts_below(directory):
            self._host.unmount(point)
        for name in ("volume-subpaths", "volumes"):
            if self._host.info(f"{directory}/{name}") is not None:
                await self._host.remove_tree(f"{directory}/{name}")

    async def remove(self, uid: str) -> None:
        """Unmount and delete all that a pod had on this node."""
        await self.unmount(uid)
        if self._host.info(self.pod_dir(uid)) is not None:
            await self._host.remove_tree(self.pod_dir(uid))

    def pods_on_disk(self) -> list[str]:
        """UIDs that have a directory here."""
        return self._host.list(f"{self._root}/pods")

    async def _mount_one(self, pod: core.Pod, volume: core.Volume) -> Mounted:
        plugin = next(
            (plugin for name, plugin in self._plugins.items() if getattr(volume, name) is not None),
            None,
        )
        if plugin is None:
            raise VolumeError(f'volume "{volume.name}": no plugin for {_source(volume)} volumes')
        directory = f"{self.pod_dir(pod.metadata.uid)}/volumes/{plugin.directory}/{volume.name}"
        mounting = Mounting(
            self._env,
            self._host,
            pod,
            directory,
            self._objects,
            self._tokens,
            self._allocatable(),
            self._memory_backed,
        )
        try:
            return Mounted(await plugin.mount(mounting, volume), plugin.read_only)
        except (VolumeError, OSError, ApiError) as problem:
            message = f'MountVolume.SetUp failed for volume "{volume.name}" : {problem}'
            raise VolumeError(message) from problem


def _source(volume: core.Volume) -> str:
    return next(
        (
            name
            for name in volume.__struct_fields__
            if name != "name" and getattr(volume, name) is not None
        ),
        "unknown",
    )
