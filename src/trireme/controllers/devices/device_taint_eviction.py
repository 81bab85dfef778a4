"""Pods whose devices have NoExecute taints: deleted, at once or when they no longer tolerate it.

In: pods, allocated claims, the taints of ResourceSlices and, with the feature gate
DRADeviceTaintRules, of DeviceTaintRules. Out: pods marked as disrupted and deleted; Events; the
status of rules. Run by ``manager``. Upstream: pkg/controller/devicetainteviction;
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#device-taints-and-tolerations.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Sequence
from functools import partial

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.resource.v1.claim_status_types import DeviceRequestAllocationResult
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1beta2.devicetaintrule import DeviceTaintRule
from trireme.client.resource_interface import DELETED
from trireme.controllers import pod_eviction
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.devices import plan_claims, plan_device_taints
from trireme.controllers.devices.plan_device_taints import Counts, Eviction, Taint
from trireme.machinery import errors
from trireme.runtime import keys, recorder
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key

NAME = "device-taint-eviction-controller"
# So many evicted pods are remembered, of which a cache may not know yet.
REMEMBERED = 500


def make(context: ControllerContext) -> DeviceTaintEviction:
    """The loop over pods, and with the gate the one over rules."""
    return DeviceTaintEviction(context)


class DeviceTaintEviction:
    """Keeps which pods wait for their eviction, which were evicted, and for which rules."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(ResourceClaim)
        self._slices = context.informers.of(ResourceSlice)
        self._claims.add_index(by_pools)
        self._slices.add_index(by_pool)
        # By key, the uid of a pod that waits.
        self._waiting: dict[Key, str] = {}
        self._evicted: deque[str] = deque(maxlen=REMEMBERED)
        # By uid of a rule, the pods that were evicted.
        self._count: Counter[str] = Counter()
        self._rules: Informer[DeviceTaintRule] | None = None
        self._loop = Controller(
            NAME,
            self.reconcile,
            context.env,
            triggers=[
                (self._pods, _of_pod),
                (self._claims, self._of_claim),
                (self._slices, self._of_slice),
            ],
            workers=context.settings.workers.device_taint_eviction,
        )
        self._rule_loop = Controller(f"{NAME}/rules", self.reconcile_rule, context.env)
        if "DRADeviceTaintRules" in context.settings.feature_gates:
            self._rules = context.informers.of(DeviceTaintRule)
            self._loop.watch(self._rules, self._of_rule)
            self._rule_loop.watch(self._rules, self._changed)

    async def run(self) -> None:
        """Both loops, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop.run())
            group.create_task(self._rule_loop.run())

    async def reconcile(self, key: Key) -> After | None:
        """Delete the pod if a taint of its devices is not tolerated, or no longer is."""
        pod = self._pods.get(*key)
        if pod is None:
            self._waiting.pop(key, None)
            return None
        eviction = self._eviction(pod, self._taints())
        if eviction is None:
            if self._waiting.pop(key, None) == pod.metadata.uid:
                self._record(pod, "Cancelling deletion")
            return None
        if pod.metadata.uid in self._evicted:
            return None
        self._report_later(eviction)
        now = self._clock.now()
        if now < eviction.at:
            self._waiting[key] = pod.metadata.uid
            return After(eviction.at - now)
        if pod.metadata.deletionTimestamp is None:
            await self._evict(pod, eviction)
        self._waiting.pop(key, None)
        return None

    async def _evict(self, pod: Pod, eviction: Eviction) -> None:
        self._record(pod, "Marking for deletion")
        message = "Device Taint manager: deleting due to NoExecute taint"
        reason, now = "DeletionByDeviceTaintManager", self._clock.now()
        if await pod_eviction.evict(self._client, pod, reason, message, now):
            self._count.update(eviction.rules)
        self._evicted.append(pod.metadata.uid)

    def _eviction(self, pod: Pod, taints: partial[Iterable[Taint]]) -> Eviction | None:
        claim_of = partial(self._claims.get, pod.metadata.namespace)
        return plan_device_taints.compute_eviction(pod, claim_of, taints)

    def _taints(self, simulated: DeviceTaintRule | None = None) -> partial[Iterable[Taint]]:
        """The taints of a device: of its slice and of all rules, or of one as if it evicted."""
        if simulated is not None:
            return partial(self._taints_of, [simulated], True)
        return partial(self._taints_of, self._rules.list() if self._rules else [], False)

    def _taints_of(
        self,
        rules: Sequence[DeviceTaintRule],
        simulated: bool,
        device: DeviceRequestAllocationResult,
    ) -> Iterable[Taint]:
        pool = self._slices.by_index(by_pool, (device.driver, device.pool))
        for published in plan_device_taints.devices(pool):
            if published.name == device.device:
                yield from map(Taint, published.taints)
        for rule in rules:
            if plan_device_taints.selects(rule, device.driver, device.pool, device.device):
                yield plan_device_taints.taint_of(rule, simulated=simulated)

    async def reconcile_rule(self, key: Key) -> After | None:
        """Say in the rule's status how far the eviction is, or how many pods it would be."""
        rule = self._rules.get(*key) if self._rules is not None else None
        if rule is None:
            return None
        now = self._clock.now()
        if wait := plan_device_taints.wait_for_status(rule, now):
            return After(wait)
        evicted = self._count[rule.metadata.uid]
        counts = self._counts(rule)
        made = plan_device_taints.compute_condition(rule, counts, evicted, now)
        # A delay for an eviction is lost where the key waited already, for an earlier time.
        evicts = rule.spec.taint.effect == plan_device_taints.NO_EXECUTE and counts.pods
        again = After(plan_device_taints.STATUS_PERIOD) if evicts else None
        if made is None:
            return again
        desired = {
            "apiVersion": rule.apiVersion,
            "kind": rule.kind,
            "metadata": {"name": key.name, "uid": rule.metadata.uid},
            "status": {"conditions": [msgspec.to_builtins(made)]},
        }
        interface = self._client.of(DeviceTaintRule)
        try:
            await interface.apply(key.name, "", desired, NAME, subresource="status")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
        return again

    def _counts(self, rule: DeviceTaintRule) -> Counts:
        effect, uid = rule.spec.taint.effect, rule.metadata.uid
        if effect not in (plan_device_taints.NO_EXECUTE, plan_device_taints.NO_EFFECT):
            return Counts()
        simulated = effect == plan_device_taints.NO_EFFECT
        taints = self._taints(rule if simulated else None)
        pods = [
            pod
            for pod in self._pods.list()
            if pod.spec.resourceClaims
            and pod.metadata.deletionTimestamp is None
            and (found := self._eviction(pod, taints)) is not None
            and uid in found.rules
        ]
        namespaces = len({pod.metadata.namespace for pod in pods})
        if not simulated:
            return Counts(len(pods), namespaces)
        published = sum(
            plan_device_taints.selects(rule, driver, pool, device.name)
            for driver, pool in {_pool(item) for item in self._slices.list()}
            for device in plan_device_taints.devices(self._slices.by_index(by_pool, (driver, pool)))
        )
        allocated = sum(
            plan_device_taints.selects(rule, item.driver, item.pool, item.device)
            for claim in self._claims.list()
            for item in _allocated(claim)
        )
        return Counts(len(pods), namespaces, published, allocated)

    def _report_later(self, eviction: Eviction) -> None:
        """Not at once: more of its pods may follow, and the caches are to know of this one."""
        if self._rules is None or not eviction.rules:
            return
        for rule in self._rules.list():
            if rule.metadata.uid in eviction.rules:
                place = keys.of(rule.metadata)
                self._rule_loop.queue.add_after(place, plan_device_taints.STATUS_PERIOD)

    def _record(self, pod: Pod, message: str) -> None:
        self._events.event(pod, recorder.NORMAL, "DeviceTaintManagerEviction", message)

    def _of_claim(self, event: Event[ResourceClaim]) -> Iterable[Key]:
        """The pods that it is reserved for, or was."""
        found = dict.fromkeys(_consumers(event.object))
        return found | dict.fromkeys(_consumers(event.old)) if event.old is not None else found

    def _of_slice(self, event: Event[ResourceSlice]) -> Iterable[Key]:
        """The pods with claims of its pool, where a taint may have come or gone."""
        both = (event.object, event.old)
        if not any(device.taints for item in both if item for device in item.spec.devices):
            return ()
        pools = dict.fromkeys(_pool(item) for item in both if item is not None)
        claims = (claim for pool in pools for claim in self._claims.by_index(by_pools, pool))
        return dict.fromkeys(key for claim in claims for key in _consumers(claim))

    def _of_rule(self, event: Event[DeviceTaintRule]) -> Iterable[Key]:
        if event.type == DELETED:
            self._count.pop(event.object.metadata.uid, None)
        elif event.old is not None and event.old.spec == event.object.spec:
            return ()
        return dict.fromkeys(key for claim in self._claims.list() for key in _consumers(claim))

    def _changed(self, event: Event[DeviceTaintRule]) -> Iterable[Key]:
        same = event.old is not None and event.old.spec == event.object.spec
        return () if same or event.type == DELETED else [event.key]


def _of_pod(event: Event[Pod]) -> Iterable[Key]:
    """Pods with claims, where something has changed that matters."""
    pod, old = event.object, event.old
    if not pod.spec.resourceClaims:
        return ()
    if event.type != DELETED and old is not None:
        same = old.spec.nodeName == pod.spec.nodeName
        if same and old.status.resourceClaimStatuses == pod.status.resourceClaimStatuses:
            return ()
    return [event.key]


def _consumers(claim: ResourceClaim) -> Iterable[Key]:
    for item in claim.status.reservedFor:
        if plan_claims.is_pod(item):
            yield Key(claim.metadata.namespace, item.name)


def _allocated(claim: ResourceClaim) -> Sequence[DeviceRequestAllocationResult]:
    allocation = claim.status.allocation
    return allocation.devices.results if allocation is not None else ()


def _pool(item: ResourceSlice) -> tuple[str, str]:
    return item.spec.driver, item.spec.pool.name


def by_pool(item: ResourceSlice) -> Iterable[Hashable]:
    """Index of slices: their driver and pool."""
    return [_pool(item)]


def by_pools(claim: ResourceClaim) -> Iterable[Hashable]:
    """Index of claims: the driver and pool of each allocated device."""
    return dict.fromkeys((item.driver, item.pool) for item in _allocated(claim))


CONTROLLER = Definition(NAME, make)
