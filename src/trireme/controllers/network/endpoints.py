"""Endpoints: the addresses of the pods that a Service selects, in one object (legacy API).

In: Services, pods, Endpoints. Out: Endpoints. Decisions are in ``plan_endpoints``. Run by
``manager``. Upstream: pkg/controller/endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.endpoints import Endpoints
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.client.resource_interface import ADDED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.network import backends, changes, plan_endpoints
from trireme.machinery import errors
from trireme.runtime import index, recorder, triggers
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

# Endpoints that are the lock of an old leader election: no Service's.
_ELECTION = "control-plane.alpha.kubernetes.io/leader"


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return EndpointsController(context).loop


class EndpointsController:
    """The informers and the reconciler."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._services = context.informers.of(Service)
        self._pods = context.informers.of(Pod)
        self._endpoints = context.informers.of(Endpoints)
        self._pods.add_index(index.namespace)
        self._times = changes.TriggerTimes()
        self.loop = Controller(
            "endpoint",
            self.reconcile,
            context.env,
            triggers=[
                (self._services, triggers.own()),
                (self._endpoints, self._of_endpoints),
            ],
            workers=context.settings.workers.endpoints,
        )
        batch = context.settings.endpoints.batch
        self.loop.watch(self._pods, changes.trigger(self._services), lambda key: batch)

    async def reconcile(self, key: Key) -> None:
        """Bring one Service's Endpoints in line with its pods."""
        service = self._services.get(*key)
        if service is None:
            self._times.forget(key)
            await self._delete(key)
            return
        if not backends.has_backends(service):
            return
        selected = [
            pod
            for pod in self._pods.by_index(index.namespace, key.namespace)
            if backends.selects(service, pod)
        ]
        when = self._times.take(service, selected)
        there = self._endpoints.get(*key)
        desired = plan_endpoints.plan(service, selected, there)
        if desired is None:
            return
        desired = changes.timed(desired, when)
        try:
            await (self._client.create(desired) if there is None else self._client.update(desired))
        except errors.ApiError as error:
            self._report(key, desired, error, create=there is None)
            if not errors.is_namespace_terminating(error):
                raise

    async def _delete(self, key: Key) -> None:
        """Delete the Endpoints of a Service that is gone."""
        if self._endpoints.get(*key) is None:
            return
        try:
            await self._client.delete(Endpoints, key.name, key.namespace)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def _report(
        self, key: Key, desired: Endpoints, error: errors.ApiError, *, create: bool
    ) -> None:
        if errors.is_namespace_terminating(error) or errors.is_conflict(error):
            return
        if create:
            reason = "FailedToCreateEndpoint"
            message = f"Failed to create endpoint for service {key}: {error}"
        else:
            reason, message = "FailedToUpdateEndpoint", f"Failed to update endpoint {key}: {error}"
        self._events.event(desired, recorder.WARNING, reason, message)

    def _of_endpoints(self, event: Event[Endpoints]) -> Iterable[Key]:
        """Endpoints of this controller that changed or were deleted; at the start all, as a Service
        may have been deleted meanwhile. Those that users make before their Service stay."""
        metadata = event.object.metadata
        if _ELECTION in metadata.annotations:
            return
        ours = metadata.labels.get(plan_endpoints.LABEL_MANAGER) == plan_endpoints.MANAGER
        if ours or (event.type == ADDED and not self._endpoints.is_synced):
            yield event.key


CONTROLLER = Definition("endpoints-controller", make, account="endpoint-controller")
