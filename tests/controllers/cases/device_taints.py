"""Pods on tainted devices: they go, and the others stay."""

from __future__ import annotations

from tests.controllers import test_device_taints as taints
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1beta2.devicetaintrule import DeviceTaintRule
from trireme.machinery import time


async def use(w: World) -> None:
    await w.client.create(taints.published())
    await taints.use_device(w)
    await w.until(lambda: w.list(ResourceSlice) and w.list(DeviceTaintRule) is not None)


async def evict(w: World) -> None:
    rule = taints.rule()
    rule.metadata.uid = ""
    await w.client.create(rule)


def runs(w: World) -> bool:
    pod = w.find(core.Pod, "p")
    return pod is not None and pod.status.phase == "Running"


def gone(w: World) -> bool:
    """The pod has gone, its device is free, and the rule has said for a while that it is done."""
    rules, (claim,) = w.list(DeviceTaintRule), w.list(ResourceClaim)
    conditions = rules[0].status.conditions if rules else []
    if w.find(core.Pod, "p") is not None or claim.status.reservedFor or not conditions:
        return False
    since = time.parse(conditions[0].lastTransitionTime)
    return conditions[0].status == "False" and w.env.clock.now() > since + 15.0


CASE = Case(
    name="device-taints",
    controller="device-taint-eviction-controller",
    steps=(Step(act=use, done=runs), Step(act=evict, done=gone)),
    options={"gates": ("DRADeviceTaintRules",)},
)
