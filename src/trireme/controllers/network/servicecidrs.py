"""ServiceCIDRs are ready, and stay as long as Services have addresses of them alone.

In: ServiceCIDRs and IPAddresses. Out: the finalizer networking.k8s.io/service-cidr-finalizer and
the condition Ready. Decisions are in ``plan_service_cidrs``. Run by ``manager``. Upstream:
pkg/controller/servicecidrs; KEP-1880.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trireme.api.networking.v1.ipaddress import IPAddress
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.network import plan_service_cidrs
from trireme.domain import service_cidrs
from trireme.machinery import errors, time
from trireme.runtime import recorder
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

MANAGER: Final = "service-cidr-controller"
FINALIZER: Final = "networking.k8s.io/service-cidr-finalizer"
# So long after its deletion began API servers may not have seen it, and give out its addresses.
GRACE: Final = 10.0
_READY = ("True", "", "Kubernetes Service CIDR is ready")
_TERMINATING = (
    "False",
    "Terminating",
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new"
    " ServiceCIDR",
)


class ServiceCIDRs:
    """The executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._clock = context.env.clock
        self._events = context.recorder
        self._cidrs = context.informers.of(ServiceCIDR)
        self._addresses = context.informers.of(IPAddress)
        self.loop = Controller(
            "ipaddresses",
            self.reconcile,
            context.env,
            triggers=[(self._cidrs, self._changed), (self._addresses, self._freed)],
            workers=5,
        )

    def _changed(self, event: Event[ServiceCIDR]) -> Iterable[Key]:
        # What comes or goes may be what another one waits for.
        if event.type == "MODIFIED":
            return [event.key]
        names = plan_service_cidrs.overlapping(event.object, self._cidrs.list())
        return [event.key, *(Key("", name) for name in names)]

    def _freed(self, event: Event[IPAddress]) -> Iterable[Key]:
        if event.type == "MODIFIED":
            return ()
        names = plan_service_cidrs.containing(event.object, self._cidrs.list())
        return [Key("", name) for name in names]

    async def reconcile(self, key: Key) -> After | None:
        """Bring one ServiceCIDR's finalizer and condition to what they should be."""
        cidr = self._cidrs.get(*key)
        if cidr is None:
            return None
        try:
            if cidr.metadata.deletionTimestamp is not None:
                return await self._finalize(cidr)
            if FINALIZER not in cidr.metadata.finalizers:
                change = {"metadata": {"finalizers": [FINALIZER]}}
                await self._client.patch(ServiceCIDR, key.name, None, change, "strategic")
            await self._set_ready(cidr)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
        return None

    async def _finalize(self, cidr: ServiceCIDR) -> After | None:
        if not plan_service_cidrs.can_delete(cidr, self._cidrs.list(), self._addresses.list()):
            await self._set_condition(cidr, _TERMINATING)
            return None
        began = time.parse(cidr.metadata.deletionTimestamp or "")
        left = began + GRACE - self._clock.now()
        if left > 0:
            return After(left)
        if FINALIZER in cidr.metadata.finalizers:
            change = {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
            await self._client.patch(ServiceCIDR, cidr.metadata.name, None, change, "strategic")
        return None

    async def _set_ready(self, cidr: ServiceCIDR) -> None:
        try:
            await self._set_condition(cidr, _READY)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                self._events.event(
                    cidr,
                    recorder.WARNING,
                    "KubernetesServiceCIDRError",
                    "The ServiceCIDR Status can not be set to Ready=True",
                )
            raise

    async def _set_condition(self, cidr: ServiceCIDR, desired: tuple[str, str, str]) -> None:
        for item in cidr.status.conditions:
            present = (item.status, item.reason, item.message)
            if item.type == service_cidrs.READY and present == desired:
                return
        status, reason, message = desired
        condition = {
            "type": service_cidrs.READY,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": time.format(self._clock.now()),
        }
        applied: dict[str, Any] = {
            "apiVersion": cidr.apiVersion,
            "kind": cidr.kind,
            # The uid: applying makes no object anew.
            "metadata": {"name": cidr.metadata.name, "uid": cidr.metadata.uid},
            "status": {"conditions": [condition]},
        }
        interface = self._client.of(ServiceCIDR)
        await interface.apply(cidr.metadata.name, "", applied, MANAGER, subresource="status")


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return ServiceCIDRs(context).loop


CONTROLLER = Definition("service-cidr-controller", make, account="service-cidrs-controller")
