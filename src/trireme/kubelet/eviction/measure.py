"""What is available on the node, and what its pods use.

In: /proc, file systems, cgroups, the runtime's statistics. Out: observations of signals,
``PodUsage``. Called by eviction/manager. Rules: node-pressure-eviction#eviction-signals. Files of
pods are counted by ``du``, away from the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trireme.api.core import v1 as core
from trireme.kubelet import labels, podspec, thresholds
from trireme.kubelet.cgroups import plan as cgroup_plan
from trireme.kubelet.cgroups.apply import Cgroups
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import Runtime
from trireme.kubelet.eviction import plan
from trireme.kubelet.eviction.plan import ContainerUsage, Disk, Layout, PodUsage
from trireme.kubelet.host.contract import DiskUsage, Host
from trireme.kubelet.node import machine
from trireme.kubelet.thresholds import Observation
from trireme.kubelet.volumes.plugins import config_map, empty_dir


class Measures:
    """Of one node."""

    def __init__(
        self, config: KubeletConfig, runtime: Runtime, host: Host, cgroups: Cgroups
    ) -> None:
        self._config, self._runtime, self._host, self._cgroups = config, runtime, host, cgroups
        self._image_fs = self._container_fs = config.root_dir

    async def find_layout(self) -> Layout:
        """Which file systems there are. Raises ``RuntimeFailure``."""
        images, containers = await self._runtime.image_fs_info()
        self._image_fs = _mountpoint(images) or self._config.root_dir
        self._container_fs = _mountpoint(containers) or self._image_fs
        node, of_images, of_containers = (
            self._disk(path).device
            for path in (self._config.root_dir, self._image_fs, self._container_fs)
        )
        return Layout(image_fs=of_images != node, split=of_containers != of_images)

    def observe(self) -> dict[str, Observation]:
        found = {}
        memory = machine.meminfo(self._host)
        if "MemTotal" in memory:
            # What the kernel can take at once: free pages, and pages of files not used lately.
            free = memory.get("MemFree", 0) + memory.get("Inactive(file)", 0)
            found[thresholds.MEMORY] = Observation(free, memory["MemTotal"])
        of_pods = self._cgroups.memory(self._config.cgroup_parent)
        if of_pods is not None:
            found[thresholds.ALLOCATABLE_MEMORY] = Observation(
                of_pods.limit - of_pods.working_set, of_pods.limit
            )
        for path, size, inodes in (
            (self._config.root_dir, thresholds.NODEFS, thresholds.NODEFS_INODES),
            (self._image_fs, thresholds.IMAGEFS, thresholds.IMAGEFS_INODES),
            (self._container_fs, thresholds.CONTAINERFS, thresholds.CONTAINERFS_INODES),
        ):
            disk = self._disk(path)
            found[size] = Observation(disk.available, disk.capacity)
            if disk.inodes:  # some file systems (btrfs) have no fixed number
                found[inodes] = Observation(disk.inodes_free, disk.inodes)
        processes = machine.processes(self._host)
        if processes is not None:
            running, most = processes
            found[thresholds.PIDS] = Observation(most - running, most)
        return found

    async def use(
        self, pods: Sequence[core.Pod], *, inodes: bool = False, processes: bool = False
    ) -> dict[str, PodUsage]:
        """By UID; of pods without a running container, nothing. Raises ``RuntimeFailure``."""
        stats: dict[str, list[model.ContainerStats]] = {}
        for item in await self._runtime.list_stats():
            if item.attributes is not None:
                uid = item.attributes.labels.get(labels.POD_UID, "")
                stats.setdefault(uid, []).append(item)
        running = [pod for pod in pods if pod.metadata.uid in stats]
        paths = [path for pod in running for path in self._paths(pod).values()]
        sizes = await self._host.tree_sizes(paths)
        counts = await self._host.tree_sizes(paths, inodes=True) if inodes else {}

        def at(path: str) -> Disk:
            return Disk(sizes.get(path, 0), counts.get(path, 0))

        found = {}
        for pod in running:
            uid, where = pod.metadata.uid, self._paths(pod)
            path = cgroup_plan.pod_path(self._config.cgroup_parent, pod)
            found[uid] = PodUsage(
                containers=tuple(
                    _container(item, at(where.get(_name(item), ""))) for item in stats[uid]
                ),
                volumes={
                    v.name: at(self._volume(pod, v)) for v in pod.spec.volumes if _is_measured(v)
                },
                processes=self._cgroups.processes(path) if processes else 0,
            )
        return found

    def _paths(self, pod: core.Pod) -> dict[str, str]:
        """The directories to count: of logs by container, of volumes by ``volume/<name>``."""
        logs = podspec.log_directory(self._config.logs_dir, pod)
        containers = (*pod.spec.initContainers, *pod.spec.containers)
        return {
            **{c.name: f"{logs}/{c.name}" for c in containers},
            **{
                f"volume/{v.name}": self._volume(pod, v)
                for v in pod.spec.volumes
                if _is_measured(v)
            },
        }

    def _volume(self, pod: core.Pod, volume: core.Volume) -> str:
        plugin = empty_dir.PLUGIN if volume.emptyDir is not None else config_map.PLUGIN
        pod_dir = podspec.directory(self._config.root_dir, pod.metadata.uid)
        return plugin.place(pod_dir, volume.name)

    def _disk(self, path: str) -> DiskUsage:
        try:
            return self._host.disk_usage(path)
        except OSError:
            # The runtime's file system may be in another mount namespace.
            return self._host.disk_usage(self._config.root_dir)


def _is_measured(volume: core.Volume) -> bool:
    return plan.is_local(volume) or volume.emptyDir is not None


def _mountpoint(of: Iterable[model.FilesystemUsage]) -> str:
    return next((item.fs_id.mountpoint for item in of if item.fs_id is not None), "")


def _name(item: model.ContainerStats) -> str:
    assert item.attributes is not None
    return item.attributes.labels.get(labels.CONTAINER_NAME, "")


def _container(item: model.ContainerStats, logs: Disk) -> ContainerUsage:
    layer = item.writable_layer
    return ContainerUsage(
        name=_name(item),
        memory=(item.memory.working_set_bytes or 0) if item.memory is not None else 0,
        rootfs=Disk(layer.used_bytes or 0, layer.inodes_used or 0) if layer is not None else Disk(),
        logs=logs,
    )
