"""Which pods leave because of taints of their devices, when, and the status of rules. Pure.

Called by ``device_taint_eviction``. Upstream: pkg/controller/devicetainteviction;
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#device-taints-and-tolerations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.resource.v1.claim_status_types import DeviceRequestAllocationResult
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1.slice_types import Device, DeviceTaint
from trireme.api.resource.v1beta2.devicetaintrule import DeviceTaintRule
from trireme.controllers.devices import pod_claims
from trireme.machinery import meta, time

NO_EXECUTE, NO_EFFECT = "NoExecute", "None"
CONDITION = "EvictionInProgress"
# Seconds between two writes of a rule's status.
STATUS_PERIOD = 10.0


class Eviction(msgspec.Struct, frozen=True):
    """``at``: when, in seconds since 1970; ``rules``: the uids of the DeviceTaintRules that are
    reasons for it."""

    at: float
    rules: frozenset[str]


class Taint(msgspec.Struct, frozen=True):
    """A taint of an allocated device; ``rule``: the uid of its rule, "" for one of a slice."""

    taint: DeviceTaint
    rule: str = ""


TaintsOf = Callable[[DeviceRequestAllocationResult], Iterable[Taint]]


class Counts(msgspec.Struct, frozen=True):
    """What a rule is about: pods to leave, their namespaces, devices in slices and in claims."""

    pods: int = 0
    namespaces: int = 0
    published: int = 0
    allocated: int = 0


def compute_eviction(
    pod: Pod, claim_of: Callable[[str], ResourceClaim | None], taints_of: TaintsOf
) -> Eviction | None:
    """When the pod has to leave: at the earliest time of all its devices' taints. None: never."""
    if not pod.spec.nodeName:
        return None
    found: list[Eviction] = []
    for item in pod.spec.resourceClaims:
        name = pod_claims.name(pod, item)
        claim = claim_of(name) if name else None
        if claim is None or claim.status.allocation is None:
            continue
        if not pod_claims.is_usable(pod, item, claim) or not pod_claims.is_reserved(pod, claim):
            continue
        for device in claim.status.allocation.devices.results:
            found += filter(None, (_of_taint(device, taint) for taint in taints_of(device)))
    if not found:
        return None
    rules = frozenset[str]().union(*(item.rules for item in found))
    return Eviction(min(item.at for item in found), rules)


def _of_taint(device: DeviceRequestAllocationResult, found: Taint) -> Eviction | None:
    taint = found.taint
    if taint.effect != NO_EXECUTE or taint.timeAdded is None:
        return None
    tolerated = [
        item.tolerationSeconds
        for item in device.tolerations
        if item.effect == NO_EXECUTE and pod_claims.tolerates(item, taint)
    ]
    if None in tolerated:
        return None
    seconds = min((max(0, item) for item in tolerated if item is not None), default=0)
    rules = frozenset((found.rule,)) if found.rule else frozenset[str]()
    return Eviction(time.parse(taint.timeAdded) + seconds, rules)


def devices(slices: Iterable[ResourceSlice]) -> Iterator[Device]:
    """The devices of a pool: those of its newest generation."""
    known = list(slices)
    newest = max((item.spec.pool.generation for item in known), default=0)
    for item in known:
        if item.spec.pool.generation == newest:
            yield from item.spec.devices


def selects(rule: DeviceTaintRule, driver: str, pool: str, device: str) -> bool:
    """Whether the rule is about the device. Without a selector it is about none."""
    selector = rule.spec.deviceSelector
    return (
        selector is not None
        and selector.driver in (None, driver)
        and selector.pool in (None, pool)
        and selector.device in (None, device)
    )


def taint_of(rule: DeviceTaintRule, *, simulated: bool = False) -> Taint:
    """The rule's taint; ``simulated``: as if its effect were NoExecute."""
    taint = rule.spec.taint
    if simulated:
        taint = msgspec.structs.replace(taint, effect=NO_EXECUTE)
    return Taint(taint, rule.metadata.uid)


def wait_for_status(rule: DeviceTaintRule, now: float) -> float:
    """For how many seconds the status is not to be written again."""
    found = _condition(rule)
    if found is None or found.observedGeneration != rule.metadata.generation:
        return 0.0
    written = time.parse(found.lastTransitionTime) if found.lastTransitionTime else 0.0
    return max(0.0, written + STATUS_PERIOD - now)


def compute_condition(
    rule: DeviceTaintRule, counts: Counts, evicted: int, now: float
) -> meta.Condition | None:
    """The rule's condition, None where it stays. ``evicted``: the pods that left because of it
    since the controller started."""
    status, reason, message = _progress(rule.spec.taint.effect, counts, evicted)
    if evicted:
        done = f"{_number(evicted, 'pod')} evicted since starting the controller."
        message = f"{message} {done}" if message else done
    made = meta.Condition(
        type=CONDITION,
        status=status,
        reason=reason,
        message=message,
        observedGeneration=rule.metadata.generation,
        lastTransitionTime=time.format(now),
    )
    before = _condition(rule)
    if before is not None and made == msgspec.structs.replace(
        before, lastTransitionTime=made.lastTransitionTime
    ):
        return None
    return made


def _progress(effect: str, counts: Counts, evicted: int) -> tuple[str, str, str]:
    if effect == NO_EXECUTE:
        if counts.pods:
            need = "needs" if counts.pods == 1 else "need"
            where = _number(counts.namespaces, "namespace", "different namespaces")
            detail = f"{_number(counts.pods, 'pod')} {need} to be evicted in {where}."
            return "True", "PodsPendingEviction", detail
        return "False", "Completed" if evicted else "NotStarted", ""
    if effect == NO_EFFECT:
        where = _number(counts.namespaces, "namespace", "different namespaces")
        detail = (
            f"{_number(counts.published, 'published device')} selected. "
            f"{_number(counts.allocated, 'allocated device')} selected. "
            f"{_number(counts.pods, 'pod')} would be evicted in {where} "
            "if the effect was NoExecute. This information will not be updated again. "
            "Recreate the DeviceTaintRule to trigger an update."
        )
        return "False", "NoEffect", detail
    return "False", "OtherEffect", "Eviction only happens for the NoExecute effect."


def _number(count: int, one: str, several: str = "") -> str:
    return f"1 {one}" if count == 1 else f"{count} {several or one + 's'}"


def _condition(rule: DeviceTaintRule) -> meta.Condition | None:
    return next((item for item in rule.status.conditions if item.type == CONDITION), None)
