"""Static pods: the kubelet's own, without the API server, and their mirrors there.

In: the pods of a path and of a URL, mirror pods from the API. Out: workers; mirror pods created and
deleted. Run by the component. Rules: tasks/configure-pod-container/static-pod. A changed manifest
is another pod, which starts when the former one of its name is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.domain import pod_references
from trireme.kit import waiting
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.desired import manifests
from trireme.kubelet.desired.files import Files
from trireme.kubelet.desired.manifests import ManifestError
from trireme.kubelet.desired.urls import Url
from trireme.kubelet.status.manager import StatusManager
from trireme.kubelet.workers import Workers
from trireme.machinery import errors, meta
from trireme.machinery.errors import ApiError

FILE_SECONDS = 1.0
URL_SECONDS = 20.0
RETRY_SECONDS = 10.0
Name = tuple[str, str]  # namespace, name


class StaticPods:
    """``node`` is the registered Node, None until then; without ``client`` there are no mirrors."""

    def __init__(
        self,
        env: Env,
        workers: Workers,
        statuses: StatusManager,
        node: Callable[[], core.Node | None],
        *,
        client: Client | None,
        files: Files | None,
        url: Url | None,
    ) -> None:
        self._env, self._workers, self._statuses, self._node = env, workers, statuses, node
        self._client, self._files, self._url = client, files, url
        self._of: dict[str, list[core.Pod]] = {}
        self._mirrors: dict[Name, core.Pod] = {}
        self._retry: dict[Name, float] = {}
        self._wake = asyncio.Event()

    def ready(self) -> bool:
        """Whether every source was read: until then no pod of the runtime counts as an orphan."""
        return (self._files is None or manifests.FILE in self._of) and (
            self._url is None or manifests.HTTP in self._of
        )

    def set_mirror(self, pod: core.Pod) -> None:
        self._mirrors[pod.metadata.namespace, pod.metadata.name] = pod
        self._wake.set()

    def remove_mirror(self, pod: core.Pod) -> None:
        name = (pod.metadata.namespace, pod.metadata.name)
        known = self._mirrors.get(name)
        if known is not None and known.metadata.uid == pod.metadata.uid:
            del self._mirrors[name]
        self._wake.set()

    async def read(self) -> None:
        """Read the sources once, so that their pods have workers before orphans are sought."""
        self._read_files()
        await self._read_url()
        self._assign()

    async def run_forever(self) -> None:
        url_due = self._env.clock.monotonic() + URL_SECONDS
        while True:
            period = FILE_SECONDS if self._files or self._url or self._mirrors else None
            await waiting.wait(self._wake, period)
            self._wake.clear()
            self._read_files()
            if self._url is not None and self._env.clock.monotonic() >= url_due:
                url_due = self._env.clock.monotonic() + URL_SECONDS
                await self._read_url()
            self._assign()
            await self._mirror()

    # ---- pods

    def _read_files(self) -> None:
        if self._files is None:
            return
        try:
            found = self._files.read()
        except OSError as error:
            self._env.log.error("static pods: unable to read config path: %s", error)
            return
        if found is not None:
            self._of[manifests.FILE] = found

    async def _read_url(self) -> None:
        if self._url is None:
            return
        try:
            found = await self._url.read()
        except (OSError, ManifestError) as error:
            self._env.log.warning("static pods: failed to read pods from URL: %s", error)
            return
        if found is not None:
            self._of[manifests.HTTP] = found

    def _desired(self) -> dict[Name, core.Pod]:
        return {
            (pod.metadata.namespace, pod.metadata.name): pod
            for source in (manifests.HTTP, manifests.FILE)
            for pod in self._of.get(source, [])
        }

    def _is_desired(self, pod: core.Pod) -> bool:
        """Whether its manifest is still there, and as it was."""
        desired = self._desired().get((pod.metadata.namespace, pod.metadata.name))
        return desired is not None and desired.metadata.uid == pod.metadata.uid

    def _assign(self) -> None:
        desired = self._desired()
        uids = {pod.metadata.uid for pod in desired.values()}
        running = {(p.metadata.namespace, p.metadata.name): p for p in self._static()}
        for pod in running.values():
            if pod.metadata.uid not in uids:
                self._workers.remove(pod)
        for name, pod in desired.items():
            if name not in running:
                self._workers.set(pod)

    def _static(self) -> list[core.Pod]:
        return [pod for pod in self._workers.pods() if podspec.is_static(pod)]

    # ---- mirrors

    async def _mirror(self) -> None:
        if self._client is None or not self.ready():
            return
        now = self._env.clock.monotonic()
        static = {(p.metadata.namespace, p.metadata.name): p for p in self._static()}
        for name in sorted({*static, *self._mirrors}):
            if now < self._retry.get(name, 0.0):
                continue
            try:
                await self._mirror_one(static.get(name), self._mirrors.get(name))
                self._retry.pop(name, None)
            except (ApiError, OSError) as error:
                self._retry[name] = now + RETRY_SECONDS
                self._env.log.warning("mirror pod %s/%s: %s", *name, error)

    async def _mirror_one(self, pod: core.Pod | None, mirror: core.Pod | None) -> None:
        """Bring the mirror in line with the static pod, of which there is at least one."""
        if mirror is not None:
            if pod is not None and _is_mirror_of(mirror, pod):
                self._statuses.set_mirror(pod.metadata.uid, mirror)
                return
            if pod is None or self._is_desired(pod):
                await self._delete(mirror)
            return
        assert pod is not None
        self._statuses.set_mirror(pod.metadata.uid, None)
        node = self._node()
        if node is None or node.metadata.deletionTimestamp is not None:
            return
        if self._is_desired(pod):
            await self._create(pod, node)

    async def _create(self, pod: core.Pod, node: core.Node) -> None:
        assert self._client is not None
        of = pod.metadata
        owner = meta.OwnerReference(
            apiVersion="v1",
            kind="Node",
            name=node.metadata.name,
            uid=node.metadata.uid,
            controller=True,
        )
        mirror = core.Pod(
            metadata=meta.ObjectMeta(
                name=of.name,
                namespace=of.namespace,
                labels=of.labels,
                annotations={
                    **of.annotations,
                    pod_references.MIRROR: of.annotations[manifests.HASH],
                },
                ownerReferences=[owner],
            ),
            spec=msgspec.structs.replace(pod.spec),
        )
        try:
            self.set_mirror(await self._client.create(mirror))
        except ApiError as error:
            if not errors.is_already_exists(error):
                raise
            # Its event is on the way, or it is a pod of somebody else.
            name = f"{of.namespace}/{of.name}"
            self._env.log.warning("mirror pod %s: a pod of that name exists", name)

    async def _delete(self, mirror: core.Pod) -> None:
        assert self._client is not None
        options = meta.DeleteOptions(
            gracePeriodSeconds=0, preconditions=meta.Preconditions(uid=mirror.metadata.uid)
        )
        try:
            await self._client.delete(
                core.Pod, mirror.metadata.name, mirror.metadata.namespace, options
            )
        except ApiError as error:
            if not errors.is_not_found(error) and not errors.is_conflict(error):
                raise
        self.remove_mirror(mirror)


def _is_mirror_of(mirror: core.Pod, pod: core.Pod) -> bool:
    """Not while it is being deleted: a new one takes its place."""
    hash_ = mirror.metadata.annotations.get(pod_references.MIRROR)
    same = hash_ == pod.metadata.annotations[manifests.HASH]
    return same and mirror.metadata.deletionTimestamp is None
