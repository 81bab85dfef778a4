"""The pods that are bound to this node.

In: a watch of ``pods`` with ``spec.nodeName=<node>``. Out: calls of ``Workers.set`` and
``Workers.remove``; mirror pods go to ``StaticPods``. Run by the component. Rules: reference "Pod
sources": until the first list is complete no pod counts as an orphan.
"""

from __future__ import annotations

import asyncio

import msgspec

from trireme.api.core import v1 as core
from trireme.client.resource_interface import DELETED
from trireme.domain import pod_references
from trireme.kubelet import podspec
from trireme.kubelet.desired.static import StaticPods
from trireme.kubelet.workers import Workers
from trireme.runtime.informer import Event, Informer


class PodSource:
    """Passes pods to ``workers``, in the order of creation, so that a restarted kubelet admits the
    same pods as before."""

    def __init__(self, pods: Informer[core.Pod], workers: Workers, mirrors: StaticPods) -> None:
        self._pods = pods
        self._workers = workers
        self._mirrors = mirrors
        self._ready = False

    async def start(self) -> None:
        """Returns when every pod of the first list has its worker."""
        self._pods.add_handler(self._handle)
        await self._pods.synced()
        self._ready = True
        for pod in sorted(self._pods.list(), key=_age):
            self._set(pod)
        # Workers run once before the first search for orphans.
        await asyncio.sleep(0)

    def _handle(self, event: Event[core.Pod]) -> None:
        if not self._ready:
            return
        pod = event.object
        if event.type != DELETED:
            self._set(pod)
        elif pod_references.is_mirror(pod):
            self._mirrors.remove_mirror(pod)
        else:
            self._workers.remove(pod)

    def _set(self, pod: core.Pod) -> None:
        if pod_references.is_mirror(pod):
            self._mirrors.set_mirror(pod)
        else:
            self._workers.set(_from_api(pod))


def _from_api(pod: core.Pod) -> core.Pod:
    """Whoever writes a pod may not make it pass for a static one, which is critical."""
    if not podspec.is_static(pod):
        return pod
    annotations = {**pod.metadata.annotations, podspec.SOURCE: "api"}
    metadata = msgspec.structs.replace(pod.metadata, annotations=annotations)
    return msgspec.structs.replace(pod, metadata=metadata)


def _age(pod: core.Pod) -> tuple[str, str]:
    return pod.metadata.creationTimestamp or "", pod.metadata.name
