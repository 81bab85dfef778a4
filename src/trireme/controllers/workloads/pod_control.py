"""Creating and deleting pods for an owner: each write has an event and is waited for.

In: an owner and a pod. Out: the write; an event about the owner; a note of what the cache has to
show before the owner is looked at again. Used by the controllers of workloads whose pods have
generated names. Upstream: RealPodControl in pkg/controller/controller_utils.
"""

from __future__ import annotations

from typing import Any

from trireme.api.core.v1.pod.pod import Pod
from trireme.client.client import Client
from trireme.machinery import errors
from trireme.runtime import keys, recorder
from trireme.runtime.informer import Informer
from trireme.runtime.recorder import EventRecorder
from trireme.runtime.written import Written


class PodControl:
    """The pods that one controller writes."""

    def __init__(
        self, client: Client, events: EventRecorder, written: Written, pods: Informer[Pod]
    ) -> None:
        self._client = client
        self._events = events
        self._written = written
        self._pods = pods

    async def create(self, owner: Any, pod: Pod) -> None:
        """Create it; nothing happens where the namespace is being deleted, as every other creation
        would fail as well and the owner goes soon."""
        try:
            made = await self._client.create(pod)
        except Exception as error:
            if errors.is_namespace_terminating(error):
                return
            message = f"Error creating: {error}"
            self._events.event(owner, recorder.WARNING, "FailedCreate", message)
            raise
        self._written.wrote(keys.of(owner.metadata), self._pods, made)
        message = f"Created pod: {made.metadata.name}"
        self._events.event(owner, recorder.NORMAL, "SuccessfulCreate", message)

    async def delete(self, owner: Any, pod: Pod) -> None:
        """Delete it, if it is there."""
        try:
            await self._client.delete(Pod, pod.metadata.name, pod.metadata.namespace)
        except Exception as error:
            if errors.is_not_found(error):
                return
            message = f"Error deleting: {error}"
            self._events.event(owner, recorder.WARNING, "FailedDelete", message)
            raise
        self._written.deleted(keys.of(owner.metadata), self._pods, pod)
        message = f"Deleted pod: {pod.metadata.name}"
        self._events.event(owner, recorder.NORMAL, "SuccessfulDelete", message)
