"""Mount and remove the volumes of pods.

In: a pod. Out: volume name to ``Mounted``, or ``VolumeError``. Called by workers in each round and
when a pod has ended. Rules: reference "Volumes". What is mounted is read from the kubelet's root
directory, so a restarted kubelet cleans up what another one made; what is kept in memory saves work
only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.domain import volumes
from trireme.kit import catalog
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.csi.contract import CsiError
from trireme.kubelet.host.contract import Host
from trireme.kubelet.volumes import claims, plugins
from trireme.kubelet.volumes.csi.mounter import CsiMounter
from trireme.kubelet.volumes.expand import Expander
from trireme.kubelet.volumes.plugin import (
    Amount,
    Claimed,
    Mounted,
    Mounting,
    Objects,
    Plugin,
    Tokens,
    VolumeError,
    VolumePending,
    VolumeUsage,
)
from trireme.machinery.errors import ApiError

REFRESH_SECONDS = 60.0
# The sources that are claims: what is mounted is the PersistentVolume behind them.
CLAIMS = ("persistentVolumeClaim", "ephemeral")
_SOURCES = tuple({
    field
    for kind in (core.Volume, core.PersistentVolumeSpec)
    for field in kind.__struct_fields__
} - {
    "name", "capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy",
    "storageClassName", "mountOptions", "volumeMode", "nodeAffinity", "volumeAttributesClassName",
})  # fmt: skip


class _Known(msgspec.Struct, frozen=True):
    """A mounted volume behind a claim, and when to look at it again."""

    claimed: Claimed
    mounted: Mounted
    again: float


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
        expander: Expander,
        *,
        memory_backed: bool = True,
        csi: CsiMounter | None = None,
    ) -> None:
        self._env = env
        self._host = host
        self._root = root
        self._objects = objects
        self._tokens = tokens
        self._allocatable = allocatable
        self._expander = expander
        self._memory_backed = memory_backed
        self._csi = csi
        self._claimed: dict[tuple[str, str], _Known] = {}
        # UIDs of pods and names of volumes.
        self._mounting_now: set[tuple[str, str]] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self._usages: list[VolumeUsage] = []
        self._usages_until = 0.0
        self._plugins: dict[str, Plugin] = {
            plugin.field: plugin for plugin in catalog.instances(plugins, Plugin)
        }

    def pod_dir(self, uid: str) -> str:
        return podspec.directory(self._root, uid)

    async def mount(self, pod: core.Pod) -> dict[str, Mounted]:
        """Set up, or bring up to date, every volume that containers of ``pod`` use.

        Raises ``VolumeError``.
        """
        used = podspec.used_volumes(pod)
        return {
            volume.name: await self._mount_one(pod, volume)
            for volume in pod.spec.volumes
            if volume.name in used and volume.image is None  # sync/image_volumes mounts those
        }

    def in_use(self) -> list[str]:
        """The attached volumes that must stay so, for ``status.volumesInUse``."""
        return self._csi.in_use() if self._csi is not None else []

    async def usages(self) -> list[VolumeUsage]:
        """How full the volumes behind claims are, at most a minute old; of drivers and plugins that
        cannot say, nothing."""
        now = self._env.clock.monotonic()
        if now >= self._usages_until:
            self._usages_until = now + REFRESH_SECONDS
            found = [
                await self._usage(uid, name, known)
                for (uid, name), known in list(self._claimed.items())
            ]
            self._usages = [usage for usage in found if usage is not None]
        return self._usages

    async def _usage(self, uid: str, name: str, known: _Known) -> VolumeUsage | None:
        spec, path, host = known.claimed.volume.spec, known.mounted.path, self._host
        claim = known.claimed.claim.metadata
        try:
            if spec.csi is not None and self._csi is not None:
                bytes_, inodes = await self._csi.usage(known.claimed, path)
            elif spec.hostPath is not None or known.mounted.device:
                return None
            else:
                disk = await host.away(lambda: host.disk_usage(path))
                bytes_ = Amount(disk.capacity, disk.available, disk.used)
                inodes = Amount(disk.inodes, disk.inodes_free, disk.inodes - disk.inodes_free)
        except (CsiError, OSError) as error:
            volume = known.claimed.volume.metadata.name
            self._env.log.warning("usage of volume %s: %s", volume, error)
            return None
        if bytes_ is None:
            return None
        return VolumeUsage(uid, name, claim.namespace, claim.name, bytes_, inodes)

    def make_pod_dirs(self, pod: core.Pod) -> None:
        directory = self.pod_dir(pod.metadata.uid)
        for name in ("volumes", "plugins", "containers"):
            self._host.make_dirs(f"{directory}/{name}", 0o750)

    async def unmount(self, uid: str) -> None:
        """Take down a pod's volumes; its termination messages stay readable."""
        directory = self.pod_dir(uid)
        if self._host.info(directory) is None:
            return
        for key in [key for key in self._claimed if key[0] == uid]:
            del self._claimed[key]
        if self._host.info(f"{directory}/volume-subpaths") is not None:
            # Before the drivers take down what they are parts of.
            self._unmount_below(f"{directory}/volume-subpaths")
        if self._csi is not None:
            try:
                await self._csi.unmount(uid)
            except CsiError as error:
                raise VolumeError(f"UnmountVolume.TearDown failed: {error}") from error
        self._unmount_below(directory)
        for name in ("volume-subpaths", "volumes", "volumeDevices"):
            if self._host.info(f"{directory}/{name}") is not None:
                await self._host.remove_tree(f"{directory}/{name}")
        for plugin in self._plugins.values():
            if plugin.release is not None:
                plugin.release(self._host, self._root)

    async def remove(self, uid: str) -> None:
        """Unmount and delete all that a pod had on this node."""
        await self.unmount(uid)
        if self._host.info(self.pod_dir(uid)) is not None:
            await self._host.remove_tree(self.pod_dir(uid))

    def pods_on_disk(self) -> list[str]:
        """UIDs that have a directory here."""
        return self._host.list(f"{self._root}/pods")

    def _unmount_below(self, path: str) -> None:
        for point in self._host.mounts_below(path):
            self._host.unmount(point)

    async def _mount_one(self, pod: core.Pod, volume: core.Volume) -> Mounted:
        name = volume.name
        try:
            if any(getattr(volume, field) is not None for field in CLAIMS):
                return await self._mount_claimed(pod, volume)
            plugin = self._plugin(volume)
            if plugin is None or plugin.mount is None:
                raise VolumeError(f'volume "{name}": no plugin for {_source(volume)} volumes')
            mounting = self._mounting(pod, plugin, name)
            return Mounted(await plugin.mount(mounting, volume), plugin.read_only)
        except VolumePending:
            raise
        except (VolumeError, CsiError, OSError, ApiError) as problem:
            message = f'MountVolume.SetUp failed for volume "{name}" : {problem}'
            raise VolumeError(message) from problem

    async def _mount_claimed(self, pod: core.Pod, volume: core.Volume) -> Mounted:
        """A volume behind a claim: mounted once, looked at again every minute."""
        key, now = (pod.metadata.uid, volume.name), self._env.clock.monotonic()
        known = self._claimed.get(key)
        if known is not None and now < known.again:
            return known.mounted
        claimed = await claims.find(self._objects, pod, volume)
        spec = claimed.volume.spec
        plugin = self._plugin(spec)
        if plugin is None or plugin.mount_claimed is None:
            raise VolumeError(f"no plugin for {_source(spec)} volumes")
        mounting = self._mounting(pod, plugin, claimed.volume.metadata.name)
        if known is None:
            mounted = await self._mount_first(plugin.mount_claimed, mounting, claimed)
        else:
            mounted = known.mounted
            if plugin.refresh is not None:
                await plugin.refresh(mounting, claimed)
        self._claimed[key] = _Known(claimed, mounted, now + REFRESH_SECONDS)
        return mounted

    async def _mount_first(
        self,
        mount: Callable[[Mounting, Claimed], Awaitable[Mounted]],
        mounting: Mounting,
        claimed: Claimed,
    ) -> Mounted:
        name, uid = claimed.volume.metadata.name, mounting.pod.metadata.uid
        if volumes.is_for_one_pod(claimed.volume) and self._is_elsewhere(name, uid):
            raise VolumeError(
                "volume uses the ReadWriteOncePod access mode and is already in use by another pod"
            )
        self._mounting_now.add((uid, name))
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            # One pod at a time: the first may have to format a device.
            async with lock:
                return await mount(mounting, claimed)
        finally:
            self._mounting_now.discard((uid, name))
            if all(used != name for _, used in self._mounting_now):
                del self._locks[name]

    def _is_elsewhere(self, name: str, uid: str) -> bool:
        """Whether another pod has the PersistentVolume; an earlier kubelet may have mounted it."""
        known = {(key[0], item.claimed.volume.metadata.name) for key, item in self._claimed.items()}
        if any(other != uid and used == name for other, used in known | self._mounting_now):
            return True
        return any(
            self._host.info(f"{folder}/{plugin}/{name}") is not None
            for other in self.pods_on_disk()
            if other != uid
            for folder in (f"{self.pod_dir(other)}/volumes", f"{self.pod_dir(other)}/volumeDevices")
            for plugin in self._host.list(folder)
        )

    def _plugin(self, source: core.Volume | core.PersistentVolumeSpec) -> Plugin | None:
        return next(
            (
                plugin
                for field, plugin in self._plugins.items()
                if getattr(source, field, None) is not None
            ),
            None,
        )

    def _mounting(self, pod: core.Pod, plugin: Plugin, name: str) -> Mounting:
        return Mounting(
            self._env,
            self._host,
            pod,
            self._root,
            plugin.place(self.pod_dir(pod.metadata.uid), name),
            self._objects,
            self._tokens,
            self._allocatable(),
            self._expander,
            self._memory_backed,
            self._csi,
        )


def _source(volume: core.Volume | core.PersistentVolumeSpec) -> str:
    """The name of the field that says what the volume is."""
    return next(
        (name for name in _SOURCES if getattr(volume, name, None) is not None),
        "unknown",
    )
