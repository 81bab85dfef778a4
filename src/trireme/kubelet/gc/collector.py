"""The loops of garbage collection.

In: the runtime's lists, the workers, the disk. Out: removals, orphan workers, events. Run by the
component. Rules: reference "Loops" (housekeeping 2 s, containers 1 min, images 5 min). Objects of
an earlier kubelet are found by names and labels alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet import labels
from trireme.kubelet.cgroups.apply import Cgroups
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.events import WARNING, Events
from trireme.kubelet.gc import plan
from trireme.kubelet.gc.plan import ImageUse
from trireme.kubelet.host.contract import Host
from trireme.kubelet.images import names
from trireme.kubelet.sync.remove import Remover
from trireme.kubelet.volumes.manager import VolumeManager
from trireme.kubelet.volumes.plugin import VolumeError
from trireme.kubelet.workers import Workers

HOUSEKEEPING_SECONDS = 2.0
CONTAINERS_SECONDS = 60.0
IMAGES_SECONDS = 300.0


class Collector:
    """Garbage collection of one node. ``ready``: whether all sources of pods are known;
    ``keep_only`` is given the ids of all images."""

    def __init__(
        self,
        env: Env,
        config: KubeletConfig,
        runtime: Runtime,
        host: Host,
        cgroups: Cgroups,
        workers: Workers,
        volumes: VolumeManager,
        remover: Remover,
        events: Events,
        ready: Callable[[], bool],
        keep_only: Callable[[Collection[str]], None],
    ) -> None:
        self._env = env
        self._config = config
        self._runtime = runtime
        self._host = host
        self._cgroups = cgroups
        self._workers = workers
        self._volumes = volumes
        self._remover = remover
        self._events = events
        self._ready = ready
        self._keep_only = keep_only
        self._uses: dict[str, ImageUse] = {}

    async def housekeep_forever(self) -> None:
        while True:
            await self._try("housekeeping", self.orphans())
            await self._env.clock.tick(HOUSEKEEPING_SECONDS)

    async def containers_forever(self) -> None:
        while True:
            await self._env.clock.tick(CONTAINERS_SECONDS)
            await self._try("container garbage collection", self.containers())

    async def images_forever(self) -> None:
        while True:
            await self._try("image garbage collection", self.images())
            await self._env.clock.tick(IMAGES_SECONDS)

    async def orphans(self) -> None:
        """Stop pods that the API does not have; remove directories and cgroups of deleted ones."""
        if not self._ready():
            return
        in_runtime: set[str] = set()
        for sandbox in await self._runtime.list_sandboxes():
            uid = sandbox.metadata.uid
            in_runtime.add(uid)
            if not self._known(uid):
                self._workers.end_orphan(await self._restore(uid, sandbox.labels))
        for uid in self._volumes.pods_on_disk():
            if uid not in in_runtime and not self._known(uid):
                await self._volumes.remove(uid)
        for path in self._cgroups.pods(self._config.cgroup_parent):
            uid = path.rsplit("/pod", 1)[1]
            if uid not in in_runtime and not self._known(uid):
                await self._cgroups.remove(path)

    def _known(self, uid: str) -> bool:
        """Checked right before each removal: the pod may have been added meanwhile."""
        return self._workers.get(uid) is not None

    async def remove_dead_containers(self) -> None:
        """All that is not needed to go on; logs of ended pods go with them."""
        pods = self._workers.pods()
        ended = {p.metadata.uid for p in pods if self._workers.is_cleaned_up(p.metadata.uid)}
        await self.containers(ended)

    async def remove_unused_images(self) -> None:
        images, used = await self._list_images()
        config, now = self._config, self._env.clock.now()
        for image in plan.unused(
            images, self._uses, used, min_age=config.image_gc_min_age_seconds, now=now
        ):
            await self._gone(self._runtime.remove_image(image.id))

    async def containers(self, ended: Collection[str] = ()) -> None:
        live = {pod.metadata.uid for pod in self._workers.pods()}
        removal = plan.dead(
            await self._runtime.list_sandboxes(), await self._runtime.list_containers(), live, ended
        )
        for container_id in removal.containers:
            await self._gone(self._remover.remove(container_id))
        for sandbox_id in removal.sandboxes:
            await self._gone(self._runtime.remove_sandbox(sandbox_id))

    async def _list_images(self) -> tuple[list[model.Image], set[str]]:
        """The images, and the ids of those in use."""
        now = self._env.clock.now()
        images = await self._runtime.list_images()
        self._keep_only([image.id for image in images])
        in_use = {container.image_ref for container in await self._runtime.list_containers()}
        in_use |= await self._images_of_volumes()
        used = {
            image.id
            for image in images
            if in_use & {image.id, *image.repo_digests, *image.repo_tags}
        }
        self._uses = {image.id: self._uses.get(image.id, ImageUse(now)) for image in images}
        for image_id in used:
            self._uses[image_id].last_used = now
        return images, used

    async def _images_of_volumes(self) -> set[str]:
        """The ids of images that are volumes of pods here; of those that are not pulled, none."""
        references = {
            volume.image.reference
            for pod in self._workers.pods()
            for volume in pod.spec.volumes
            if volume.image is not None
        }
        tagged = set()
        for reference in references:
            with contextlib.suppress(ValueError):  # an invalid name was never pulled
                tagged.add(names.with_tag(reference))
        found = [await self._runtime.image_status(reference) for reference in tagged]
        return {image.id for image in found if image is not None}

    async def images(self) -> None:
        images, used = await self._list_images()
        disk = self._host.disk_usage(self._config.root_dir)
        config = self._config
        selected = plan.images_to_remove(
            images,
            self._uses,
            used,
            disk,
            high=config.image_gc_high_percent,
            low=config.image_gc_low_percent,
            min_age=config.image_gc_min_age_seconds,
            now=self._env.clock.now(),
        )
        for image_id in selected:
            await self._gone(self._runtime.remove_image(image_id))
        left = self._host.disk_usage(config.root_dir)
        if selected or left.used * 100 < left.capacity * config.image_gc_high_percent:
            return
        needed = left.used - left.capacity * config.image_gc_low_percent // 100
        self._events.node(
            WARNING,
            "FreeDiskSpaceFailed",
            f"Failed to garbage collect required amount of images. Attempted to free "
            f"{needed} bytes, but only found 0 bytes eligible to free.",
        )

    async def _restore(self, uid: str, of_sandbox: dict[str, str]) -> core.Pod:
        """The pod, as far as its containers' labels and annotations have it."""
        pod, _ = labels.restore(of_sandbox, {})
        pod.metadata.uid = uid
        pod.spec.containers = []
        for container in await self._runtime.list_containers(uid):
            status = await self._runtime.container_status(container.id)
            of, spec = labels.restore(status.labels, status.annotations)
            pod.spec.terminationGracePeriodSeconds = of.spec.terminationGracePeriodSeconds
            if all(spec.name != known.name for known in pod.spec.containers):
                pod.spec.containers.append(spec)
        return pod

    async def _gone(self, removal: Awaitable[object]) -> None:
        try:
            await removal
        except RuntimeFailure as failure:
            if not failure.not_found:
                self._env.log.warning("removal failed: %s", failure)

    async def _try(self, what: str, step: Awaitable[object]) -> None:
        try:
            await step
        except (RuntimeFailure, VolumeError, OSError) as failure:
            self._env.log.warning("%s failed: %s", what, failure)
