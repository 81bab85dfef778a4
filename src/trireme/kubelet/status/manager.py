"""The status manager: writes pod statuses to the API, and deletes terminated pods there.

In: statuses from workers, pods from the API. Out: patches of ``pods/status`` and deletions with
grace 0. Rules: reference "Loops" (full sync every 10 s), "Termination". One task per pod with a
pending write; of the statuses set meanwhile only the last is written.
"""

from __future__ import annotations

import asyncio

from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.status import patch
from trireme.machinery import errors, meta
from trireme.machinery.errors import ApiError

RETRY_SECONDS = 2.0
MAX_RETRY_SECONDS = 10.0


class _Entry:
    """The state of one pod. ``present``: the status in the API."""

    def __init__(self, pod: core.Pod) -> None:
        self.pod = pod
        # Where the status is written: of a static pod, its mirror, if there is one.
        self.target: core.Pod | None = None if podspec.is_static(pod) else pod
        self.present = pod.status
        self.desired: core.PodStatus | None = None
        self.finished = False
        self.deleted = False
        self.task: asyncio.Task[None] | None = None
        self.dirty = asyncio.Event()


class StatusManager:
    """Owned by the component."""

    def __init__(self, env: Env, group: asyncio.TaskGroup, client: Client) -> None:
        self._env = env
        self._group = group
        self._client = client
        self._entries: dict[str, _Entry] = {}

    def get(self, uid: str) -> core.PodStatus | None:
        """The status that was set last, written or not."""
        entry = self._entries.get(uid)
        return entry.desired if entry is not None else None

    def set(self, pod: core.Pod, status: core.PodStatus) -> None:
        entry = self._entry(pod)
        if entry.desired != status or patch.status_patch("", entry.present, status) is not None:
            entry.desired = status
            self._wake(entry)

    def finish(self, pod: core.Pod) -> None:
        """The pod has terminated on the node: delete it from the API."""
        entry = self._entry(pod)
        entry.finished = True
        self._wake(entry)

    def observe(self, pod: core.Pod) -> None:
        """The API's newest version; restores fields that another client overwrote."""
        entry = self._entries.get(pod.metadata.uid)
        if entry is None:
            return
        entry.pod = entry.target = pod
        entry.present = pod.status
        desired = entry.desired
        if entry.finished or (
            desired is not None and patch.status_patch("", pod.status, desired) is not None
        ):
            self._wake(entry)

    def set_mirror(self, uid: str, mirror: core.Pod | None) -> None:
        """The mirror of the static pod ``uid``, as the API has it."""
        entry = self._entries.get(uid)
        if entry is None or entry.target is mirror:
            return
        entry.target = mirror
        if mirror is None:
            return
        entry.present, desired = mirror.status, entry.desired
        if desired is not None and patch.status_patch("", mirror.status, desired) is not None:
            self._wake(entry)

    def forget(self, uid: str) -> None:
        entry = self._entries.pop(uid, None)
        if entry is not None and entry.task is not None:
            entry.task.cancel()

    async def written(self) -> None:
        """Returns when no status waits to be written, or soon after if the API is away."""
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=MAX_RETRY_SECONDS)

    def _entry(self, pod: core.Pod) -> _Entry:
        entry = self._entries.get(pod.metadata.uid)
        if entry is None:
            entry = self._entries[pod.metadata.uid] = _Entry(pod)
        return entry

    def _wake(self, entry: _Entry) -> None:
        entry.dirty.set()
        if entry.task is None or entry.task.done():
            name = f"status {entry.pod.metadata.namespace}/{entry.pod.metadata.name}"
            entry.task = self._group.create_task(self._write(entry), name=name)

    async def _write(self, entry: _Entry) -> None:
        delay = RETRY_SECONDS
        while entry.dirty.is_set() and not entry.deleted:
            entry.dirty.clear()
            try:
                await self._write_once(entry)
                delay = RETRY_SECONDS
            except (ApiError, OSError) as error:
                if isinstance(error, ApiError) and errors.is_not_found(error):
                    # A mirror pod may come again.
                    entry.deleted = not podspec.is_static(entry.pod)
                    return
                meta_ = entry.pod.metadata
                self._env.log.warning(
                    "writing status of pod %s/%s failed: %s", meta_.namespace, meta_.name, error
                )
                entry.dirty.set()
                await self._env.clock.sleep(delay)
                delay = min(delay * 2, MAX_RETRY_SECONDS)

    async def _write_once(self, entry: _Entry) -> None:
        pod, desired = entry.target, entry.desired
        if pod is None:
            return
        name, namespace = pod.metadata.name, pod.metadata.namespace
        if desired is not None:
            change = patch.status_patch(pod.metadata.uid, entry.present, desired)
            if change is not None:
                changed = await self._client.patch(
                    core.Pod, name, namespace, change, kind="strategic", subresource="status"
                )
                entry.present = changed.status
                if changed.metadata.deletionTimestamp and not podspec.is_static(entry.pod):
                    entry.pod = entry.target = changed
        if self._may_delete(entry):
            options = meta.DeleteOptions(
                gracePeriodSeconds=0, preconditions=meta.Preconditions(uid=pod.metadata.uid)
            )
            await self._client.delete(core.Pod, name, namespace, options)
            entry.deleted = True

    def _may_delete(self, entry: _Entry) -> bool:
        return (
            entry.finished
            and not podspec.is_static(entry.pod)
            and entry.pod.metadata.deletionTimestamp is not None
            and podspec.is_terminal(entry.present)
        )
