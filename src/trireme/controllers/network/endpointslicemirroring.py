"""EndpointSlices that mirror Endpoints made by users for a Service without a selector.

In: Endpoints, Services, EndpointSlices. Out: EndpointSlices, which the proxy and DNS read.
Decisions are in ``plan_mirroring``. Run by ``manager``. Upstream:
pkg/controller/endpointslicemirroring.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.endpoints import Endpoints
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.network import plan_mirroring
from trireme.controllers.network.metrics import MirroringMetrics, SliceMetrics
from trireme.controllers.network.plan_slices import Delete
from trireme.controllers.network.slices import SliceTracker
from trireme.machinery import errors
from trireme.runtime import recorder
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return EndpointSliceMirroring(context).loop


class EndpointSliceMirroring:
    """The informers. Keys are those of Services, which their Endpoints share."""

    def __init__(self, context: ControllerContext) -> None:
        self._events = context.recorder
        self._services = context.informers.of(Service)
        self._endpoints = context.informers.of(Endpoints)
        slices = context.informers.of(EndpointSlice)
        self._limit = context.settings.endpoints.max_mirrored
        self._clock = context.env.clock
        registry, manager = context.env.metrics, plan_mirroring.MANAGER
        counts = SliceMetrics(
            registry, "endpoint_slice_mirroring_controller", slices, manager, self._limit
        )
        self._slices = SliceTracker(context.client, slices, manager, counts)
        self._metrics = MirroringMetrics(registry)
        self.loop = Controller(
            "endpoint_slice_mirroring",
            self.reconcile,
            context.env,
            triggers=[
                (self._services, _of_service),
                (slices, self._slices.trigger),
            ],
            workers=context.settings.workers.endpointslice_mirroring,
        )
        batch = context.settings.endpoints.mirroring_batch
        self.loop.watch(self._endpoints, _of_endpoints, lambda key: batch)

    async def reconcile(self, key: Key) -> None:
        """Update the slices that mirror one Endpoints object."""
        began = self._clock.monotonic()
        try:
            await self._sync(key)
        finally:
            self._metrics.duration.observe(self._clock.monotonic() - began)

    async def _sync(self, key: Key) -> None:
        slices = self._slices.latest(key)
        if slices is None:
            # The slices' events enqueue the key again.
            return
        endpoints, service = self._endpoints.get(*key), self._services.get(*key)
        if (
            endpoints is None
            or service is None
            or service.spec.selector
            or not plan_mirroring.mirrors(endpoints)
        ):
            await self._slices.apply(key, [Delete(item.metadata.name) for item in slices])
            self._slices.forget(key)
            return
        plan = plan_mirroring.plan(endpoints, slices, self._limit)
        self._report(endpoints, plan)
        self._metrics.skipped.observe(plan.skipped + plan.invalid)
        deleting = endpoints.metadata.deletionTimestamp is not None
        try:
            await self._slices.apply(key, plan.actions, create=not deleting)
        except errors.ApiError as error:
            if not errors.is_namespace_terminating(error):
                raise

    def _report(self, endpoints: Endpoints, plan: plan_mirroring.Mirrored) -> None:
        if plan.invalid:
            self._events.event(
                endpoints,
                recorder.WARNING,
                "InvalidIPAddress",
                f"Skipped {plan.invalid} invalid IP addresses when mirroring to EndpointSlices",
            )
        if plan.skipped:
            skipped = plan.skipped + plan.invalid
            self._events.event(
                endpoints,
                recorder.WARNING,
                "TooManyAddressesToMirror",
                f"A max of {self._limit} addresses can be mirrored to EndpointSlices per "
                f"Endpoints subset. {skipped} addresses were skipped",
            )


def _of_service(event: Event[Service]) -> Iterable[Key]:
    """A Service without a selector, or one that gains or loses it."""
    had = event.old is not None and bool(event.old.spec.selector)
    if not event.object.spec.selector or (event.old is not None and not had):
        yield event.key


def _of_endpoints(event: Event[Endpoints]) -> Iterable[Key]:
    """Endpoints that are mirrored, or were."""
    if plan_mirroring.mirrors(event.object) or (
        event.old is not None and plan_mirroring.mirrors(event.old)
    ):
        yield event.key


CONTROLLER = Definition(
    "endpointslice-mirroring-controller",
    make,
    account="endpointslicemirroring-controller",
    component="endpoint-slice-mirroring-controller",
)
