"""The pods that are bound to this node.

In: a watch of ``pods`` with ``spec.nodeName=<node>``. Out: calls of ``Workers.set`` and
``Workers.remove``. Run by the component. Rules: reference "Pod sources": until the first list is
complete no pod counts as an orphan.
"""

from __future__ import annotations

import asyncio

from trireme.api.core import v1 as core
from trireme.client.resource_interface import DELETED
from trireme.kubelet.workers import Workers
from trireme.runtime.informer import Event, Informer


class PodSource:
    """Passes pods to ``workers``, in the order of creation, so that a restarted kubelet admits the
    same pods as before."""

    def __init__(self, pods: Informer[core.Pod], workers: Workers) -> None:
        self._pods = pods
        self._workers = workers
        self._ready = False

    async def start(self) -> None:
        """Returns when every pod of the first list has its worker."""
        self._pods.add_handler(self._handle)
        await self._pods.synced()
        self._ready = True
        for pod in sorted(self._pods.list(), key=_age):
            self._workers.set(pod)
        # Workers run once before the first search for orphans.
        await asyncio.sleep(0)

    def _handle(self, event: Event[core.Pod]) -> None:
        if not self._ready:
            return
        if event.type == DELETED:
            self._workers.remove(event.object)
        else:
            self._workers.set(event.object)


def _age(pod: core.Pod) -> tuple[str, str]:
    return pod.metadata.creationTimestamp or "", pod.metadata.name
