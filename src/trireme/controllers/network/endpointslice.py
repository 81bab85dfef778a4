"""EndpointSlices: the addresses of the pods that a Service selects.

In: Services, pods, nodes, EndpointSlices. Out: EndpointSlices. Decisions are in ``plan_slices``.
Run by ``manager``. Read by the proxy and DNS. Upstream: pkg/controller/endpointslice;
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/. Hints follow
``trafficDistribution``; those by the annotation ``topology-mode`` are not made.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from trireme.api.core.v1.node import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice import EndpointSlice
from trireme.client.handle import DELETED, MODIFIED
from trireme.controllers.definition import Definition, Tools
from trireme.controllers.network import backends, changes, plan_slices
from trireme.machinery import errors
from trireme.runtime import index, recorder, triggers
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

NAME = "endpointslice-controller"
WORKERS = 5


def make(tools: Tools) -> Controller:
    """The control loop."""
    return EndpointSlices(tools).loop


class EndpointSlices:
    """The caches, and what was written that they do not show yet."""

    def __init__(self, tools: Tools) -> None:
        self._client = tools.client
        self._events = tools.recorder
        self._services = tools.informers.of(Service)
        self._pods = tools.informers.of(Pod)
        self._nodes = tools.informers.of(Node)
        self._slices = tools.informers.of(EndpointSlice)
        self._pods.add_index(index.namespace)
        self._pods.add_index(index.node_name)
        self._slices.add_index(of_service)
        self._times = changes.TriggerTimes()
        # By Service: the revisions of slices that we wrote, until the cache has them.
        self._written: dict[Key, dict[str, int]] = {}
        self.loop = Controller(
            NAME,
            self.reconcile,
            tools.env,
            triggers=[
                (self._services, triggers.own()),
                (self._pods, changes.trigger(self._services)),
                (self._nodes, self._of_node),
                (self._slices, self._of_slice),
            ],
            workers=WORKERS,
        )

    async def reconcile(self, key: Key) -> None:
        """Bring one Service's slices in line with its pods."""
        service = self._services.get(*key)
        if service is None:
            self._times.forget(key)
            self._written.pop(key, None)
            return
        if not backends.has_backends(service):
            return
        there = [
            item
            for item in self._slices.by_index(of_service, key)
            if item.metadata.deletionTimestamp is None
        ]
        if self._is_stale(key, there):
            # The slices' own events bring us back.
            return
        selected = [
            pod
            for pod in self._pods.by_index(index.namespace, key.namespace)
            if backends.selects(service, pod)
        ]
        zones = {
            n.metadata.name: n.metadata.labels.get(backends.ZONE, "") for n in self._on(selected)
        }
        when = self._times.take(service, selected)
        actions = plan_slices.plan(service, selected, zones, there)
        try:
            for action in actions:
                await self._do(key, service, action, when)
        except errors.ApiError as fault:
            if errors.is_namespace_terminating(fault):
                return
            message = f"Error updating Endpoint Slices for Service {key}: {fault}"
            self._events.event(service, recorder.WARNING, "FailedToUpdateEndpointSlices", message)
            raise

    def _on(self, selected: list[Pod]) -> list[Node]:
        """The nodes of the pods, as far as they are there."""
        found = {pod.spec.nodeName: self._nodes.get("", pod.spec.nodeName) for pod in selected}
        return [node for node in found.values() if node is not None]

    async def _do(self, key: Key, service: Service, action: plan_slices.Action, when: str) -> None:
        match action:
            case plan_slices.Create(item):
                if service.metadata.deletionTimestamp is None:
                    made = await self._client.create(changes.timed(item, when))
                    self._note(key, made)
            case plan_slices.Update(item):
                self._note(key, await self._client.update(changes.timed(item, when)))
            case plan_slices.Delete(name):
                try:
                    await self._client.delete(EndpointSlice, name, key.namespace)
                except errors.ApiError as fault:
                    if not errors.is_not_found(fault):
                        raise

    def _note(self, key: Key, written: EndpointSlice) -> None:
        revision = int(written.metadata.resourceVersion)
        there = self._slices.get(key.namespace, written.metadata.name)
        if there is None or int(there.metadata.resourceVersion) < revision:
            self._written.setdefault(key, {})[written.metadata.name] = revision

    def _is_stale(self, key: Key, there: Iterable[EndpointSlice]) -> bool:
        """Whether the cache lacks something that we wrote; forgets what it has by now."""
        waiting = self._written.get(key)
        if not waiting:
            return False
        for item in there:
            if int(item.metadata.resourceVersion) >= waiting.get(item.metadata.name, 0):
                waiting.pop(item.metadata.name, None)
        return bool(waiting)

    def _of_slice(self, event: Event[EndpointSlice]) -> Iterable[Key]:
        found = dict.fromkeys(of_service(event.object))
        if event.old is not None:
            found |= dict.fromkeys(of_service(event.old))
        if event.type == DELETED:
            for key in found:
                self._written.get(key, {}).pop(event.object.metadata.name, None)
        return found

    def _of_node(self, event: Event[Node]) -> Iterable[Key]:
        """The Services with pods on a node that comes or goes, or moves to another zone."""
        node, old = event.object.metadata, event.old
        zone = node.labels.get(backends.ZONE)
        moved = old is None or old.metadata.labels.get(backends.ZONE) != zone
        if event.type == MODIFIED and not moved:
            return
        for pod in self._pods.by_index(index.node_name, node.name):
            for service in self._services.list(pod.metadata.namespace):
                if backends.selects(service, pod):
                    yield Key(service.metadata.namespace, service.metadata.name)


def of_service(item: EndpointSlice) -> Iterable[Hashable]:
    """Index: the Service of a slice that this controller manages."""
    labels = item.metadata.labels
    if labels.get(plan_slices.LABEL_MANAGER) != plan_slices.MANAGER:
        return []
    name = labels.get(plan_slices.LABEL_SERVICE)
    return [Key(item.metadata.namespace, name)] if name else []


CONTROLLER = Definition(NAME, make)
