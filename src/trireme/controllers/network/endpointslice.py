"""EndpointSlices: the addresses of the pods that a Service selects.

In: Services, pods, nodes, EndpointSlices. Out: EndpointSlices. Decisions are in ``plan_slices``.
Hints follow ``trafficDistribution`` or, with the annotation ``topology-mode``, the CPUs of zones
(``plan_topology``). Run by ``manager``. Read by the proxy and DNS. Upstream:
pkg/controller/endpointslice;
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.client.resource_interface import MODIFIED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.network import backends, changes, plan_slices, plan_topology
from trireme.controllers.network.metrics import SliceMetrics, SyncMetrics
from trireme.controllers.network.slices import SliceTracker
from trireme.machinery import errors
from trireme.runtime import index, recorder, triggers
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return EndpointSlices(context).loop


class EndpointSlices:
    """The informers, and the tracker of writes that the cache lacks yet."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._services = context.informers.of(Service)
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        slices = context.informers.of(EndpointSlice)
        self._pods.add_index(index.namespace)
        self._pods.add_index(index.node_name)
        self._limit = context.settings.endpoints.max_per_slice
        registry, manager = context.env.metrics, plan_slices.MANAGER
        counts = SliceMetrics(registry, "endpoint_slice_controller", slices, manager, self._limit)
        self._slices = SliceTracker(context.client, slices, manager, counts)
        self._metrics = SyncMetrics(registry, self._services)
        self._times = changes.TriggerTimes()
        # Zones' shares of the CPUs, None when nodes have changed; endpoints hinted to each zone, by
        # Service and family.
        self._shares: dict[str, float] | None = None
        self._hinted: dict[Key, dict[str, dict[str, int]]] = {}
        self.loop = Controller(
            "endpoint_slice",
            self.reconcile,
            context.env,
            triggers=[
                (self._services, triggers.own()),
                (self._nodes, self._of_node),
                (slices, self._slices.trigger),
            ],
            workers=context.settings.workers.endpointslice,
        )
        batch = context.settings.endpoints.slice_batch
        self.loop.watch(self._pods, changes.trigger(self._services), lambda key: batch)

    async def reconcile(self, key: Key) -> None:
        """Bring one Service's slices in line with its pods."""
        result = "error"
        try:
            result = "success" if await self._sync(key) else "stale"
        finally:
            self._metrics.synced(result)

    async def _sync(self, key: Key) -> bool:
        """False where the cache lacks what was written before: its events enqueue the key again."""
        service = self._services.get(*key)
        if service is None:
            self._times.forget(key)
            self._slices.forget(key)
            self._hinted.pop(key, None)
            return True
        if not backends.has_backends(service):
            return True
        there = self._slices.latest(key)
        if there is None:
            return False
        selected = [
            pod
            for pod in self._pods.by_index(index.namespace, key.namespace)
            if backends.selects(service, pod)
        ]
        zones = {
            n.metadata.name: n.metadata.labels.get(backends.ZONE, "") for n in self._on(selected)
        }
        when = self._times.take(service, selected)
        actions = plan_slices.plan(service, selected, zones, there, self._limit)
        if plan_slices.has_topology_mode(service):
            actions = self._hint(key, service, actions, there)
        elif self._hinted.pop(key, None) is not None:
            for family in backends.families(service):
                self._disabled(service, family, "Topology Aware Hints has been disabled")
        timed = [_timed(action, when) for action in actions]
        try:
            await self._slices.apply(key, timed, create=service.metadata.deletionTimestamp is None)
        except errors.ApiError as error:
            if errors.is_namespace_terminating(error):
                return True
            message = f"Error updating Endpoint Slices for Service {key}: {error}"
            self._events.event(service, recorder.WARNING, "FailedToUpdateEndpointSlices", message)
            raise
        self._metrics.changed(service, len(timed))
        return True

    def _hint(
        self,
        key: Key,
        service: Service,
        actions: list[plan_slices.Action],
        there: list[EndpointSlice],
    ) -> list[plan_slices.Action]:
        if self._shares is None:
            self._shares = plan_topology.ratios(self._nodes.list())
        actions, outcomes = plan_slices.hint(service, actions, there, self._shares)
        for family, outcome in outcomes.items():
            if outcome.problem:
                self._disabled(service, family, outcome.problem)
                hinted = self._hinted.get(key, {})
                hinted.pop(family, None)
                if not hinted:
                    self._hinted.pop(key, None)
                continue
            if key not in self._hinted:
                text = f"Topology Aware Hints has been enabled, addressType: {family}"
                self._events.event(service, recorder.NORMAL, "TopologyAwareHintsEnabled", text)
            self._hinted.setdefault(key, {})[family] = outcome.by_zone
        return actions

    def _disabled(self, service: Service, family: str, detail: str) -> None:
        text = f"{detail}, addressType: {family}"
        self._events.event(service, recorder.WARNING, "TopologyAwareHintsDisabled", text)

    def _on(self, selected: list[Pod]) -> list[Node]:
        """The nodes of the pods, as far as they exist."""
        found = {pod.spec.nodeName: self._nodes.get("", pod.spec.nodeName) for pod in selected}
        return [node for node in found.values() if node is not None]

    def _of_node(self, event: Event[Node]) -> Iterable[Key]:
        """The Services with pods on a node that is added or deleted, or changes its zone; those
        whose hints give a zone too few endpoints now."""
        yield from self._overloaded(event)
        node, old = event.object.metadata, event.old
        zone = node.labels.get(backends.ZONE)
        moved = old is None or old.metadata.labels.get(backends.ZONE) != zone
        if event.type == MODIFIED and not moved:
            return
        for pod in self._pods.by_index(index.node_name, node.name):
            for service in self._services.list(pod.metadata.namespace):
                if backends.selects(service, pod):
                    yield Key(service.metadata.namespace, service.metadata.name)

    def _overloaded(self, event: Event[Node]) -> Iterable[Key]:
        node, old = event.object, event.old
        if event.type == MODIFIED and old is not None and _capacity(old) == _capacity(node):
            return
        self._shares = None
        if self._hinted:
            self._shares = shares = plan_topology.ratios(self._nodes.list())
            for key, families in self._hinted.items():
                if any(plan_topology.is_overloaded(zones, shares) for zones in families.values()):
                    yield key


def _capacity(node: Node) -> tuple[bool, str]:
    return plan_topology.is_ready(node), node.metadata.labels.get(backends.ZONE, "")


def _timed(action: plan_slices.Action, when: str) -> plan_slices.Action:
    """The action, its slice annotated with the trigger time."""
    match action:
        case plan_slices.Create(item):
            return plan_slices.Create(changes.timed(item, when))
        case plan_slices.Update(item):
            return plan_slices.Update(changes.timed(item, when))
    return action


CONTROLLER = Definition("endpointslice-controller", make, component="endpoint-slice-controller")
