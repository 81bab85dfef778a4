"""Taints of devices: which pods leave, when, and what a rule says of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from tests.controllers import test_resource_claims as claims
from trireme.api.core import v1 as core
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1.slice_types import DeviceTaint
from trireme.api.resource.v1beta2.devicetaintrule import DeviceTaintRule
from trireme.controllers.devices import plan_device_taints
from trireme.controllers.devices.plan_device_taints import Counts, Taint
from trireme.kit.env import Env
from trireme.machinery import time
from trireme.testing import virtual

GATE = "DRADeviceTaintRules"
SINCE = 1_700_000_000.0


def taint(key: str = "broken", effect: str = "NoExecute", since: float = SINCE) -> dict[str, Any]:
    return {"key": key, "effect": effect, "timeAdded": time.format(since)}


def allocation(**device: Any) -> dict[str, Any]:
    result = {"request": "gpu", "driver": "x.io", "pool": "p", "device": "d0", **device}
    return {"devices": {"results": [result]}}


def tolerates(seconds: int | None = None, **more: Any) -> dict[str, Any]:
    found = {"key": "broken", "operator": "Exists", "effect": "NoExecute", **more}
    return found if seconds is None else {**found, "tolerationSeconds": seconds}


BOUND: dict[str, Any] = {
    "claims": [{"name": "gpu", "resourceClaimName": "own"}],
    "spec": {"nodeName": "node-0"},
}


@pytest.mark.parametrize(
    ("taints", "tolerations", "at"),
    [
        ([], [], None),
        ([taint(effect="NoSchedule")], [], None),
        ([taint()], [], SINCE),
        ([taint()], [tolerates()], None),
        ([taint()], [tolerates(30)], SINCE + 30),
        ([taint()], [tolerates(30), tolerates(10), tolerates(-5, key="other")], SINCE + 10),
        ([taint()], [tolerates(-5)], SINCE),
        ([taint()], [tolerates(effect="NoSchedule")], SINCE),
        # One without an effect tolerates no eviction, as upstream.
        ([taint()], [tolerates(effect="")], SINCE),
        ([taint(), taint("worse", since=SINCE - 60)], [tolerates()], SINCE - 60),
        ([taint(), taint("later", since=SINCE + 60)], [], SINCE),
    ],
)
def test_when_a_pod_goes(taints: list[Any], tolerations: list[Any], at: float | None) -> None:
    status = {"allocation": allocation(tolerations=tolerations), "reservedFor": [claims.POD]}
    by_name = {"own": claims.claim(status=status)}
    found = [Taint(msgspec.convert(item, DeviceTaint)) for item in taints]
    pod = claims.pod(**msgspec.json.decode(msgspec.json.encode(BOUND)))
    eviction = plan_device_taints.compute_eviction(pod, by_name.get, lambda device: found)
    assert (eviction.at if eviction else None) == at


@pytest.mark.parametrize(
    "of",
    [
        # Not scheduled, not reserved for it, another's.
        {"spec": {}},
        {"reserved": []},
        {"claims": [{"name": "gpu", "resourceClaimTemplateName": "t"}]},
    ],
)
def test_pods_that_do_not_use_the_device_stay(of: dict[str, Any]) -> None:
    of = {**msgspec.json.decode(msgspec.json.encode(BOUND)), **of}
    reserved = of.pop("reserved", [claims.POD])
    status = {"allocation": allocation(), "reservedFor": reserved}
    by_name = {"own": claims.claim(status=status)}
    names = claims.statuses(gpu="own")
    found = [Taint(msgspec.convert(taint(), DeviceTaint))]
    pod = claims.pod(status=names, **of)
    assert plan_device_taints.compute_eviction(pod, by_name.get, lambda device: found) is None


def rule(effect: str = "NoExecute", name: str = "r", **selector: str) -> DeviceTaintRule:
    body = {
        "metadata": {"name": name, "uid": "rule", "generation": 1},
        "spec": {
            "deviceSelector": selector or {"driver": "x.io"},
            "taint": {"key": "broken", "effect": effect, "timeAdded": time.format(SINCE)},
        },
    }
    return msgspec.convert(body, DeviceTaintRule)


@pytest.mark.parametrize(
    ("effect", "counts", "evicted", "status", "reason", "message"),
    [
        ("NoExecute", Counts(), 0, "False", "NotStarted", ""),
        (
            "NoExecute",
            Counts(1, 1),
            0,
            "True",
            "PodsPendingEviction",
            "1 pod needs to be evicted in 1 namespace.",
        ),
        (
            "NoExecute",
            Counts(3, 2),
            1,
            "True",
            "PodsPendingEviction",
            "3 pods need to be evicted in 2 different namespaces. "
            "1 pod evicted since starting the controller.",
        ),
        (
            "NoExecute",
            Counts(),
            2,
            "False",
            "Completed",
            "2 pods evicted since starting the controller.",
        ),
        (
            "None",
            Counts(1, 1, 2, 1),
            0,
            "False",
            "NoEffect",
            "2 published devices selected. 1 allocated device selected. "
            "1 pod would be evicted in 1 namespace if the effect was NoExecute. "
            "This information will not be updated again. "
            "Recreate the DeviceTaintRule to trigger an update.",
        ),
        (
            "NoSchedule",
            Counts(),
            0,
            "False",
            "OtherEffect",
            "Eviction only happens for the NoExecute effect.",
        ),
    ],
)
def test_what_a_rule_says(
    effect: str, counts: Counts, evicted: int, status: str, reason: str, message: str
) -> None:
    of = rule(effect)
    made = plan_device_taints.compute_condition(of, counts, evicted, SINCE)
    assert made is not None
    assert (made.status, made.reason, made.message) == (status, reason, message)
    of.status.conditions = [made]
    assert plan_device_taints.compute_condition(of, counts, evicted, SINCE + 60) is None
    assert plan_device_taints.wait_for_status(of, SINCE + 4) == 6.0
    of.metadata.generation = 2
    assert plan_device_taints.wait_for_status(of, SINCE + 4) == 0.0


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({"driver": "x.io"}, True),
        ({"driver": "y.io"}, False),
        ({"pool": "p", "device": "d0"}, True),
        ({"pool": "p", "device": "d1"}, False),
    ],
)
def test_which_devices_a_rule_is_about(selector: dict[str, str], matches: bool) -> None:
    assert plan_device_taints.selects(rule(**selector), "x.io", "p", "d0") is matches


def published(*taints: dict[str, Any], generation: int = 1, name: str = "s") -> ResourceSlice:
    pool = {"name": "p", "generation": generation, "resourceSliceCount": 1}
    devices = [{"name": "d0", "taints": list(taints)}, {"name": "d1"}]
    spec = {"driver": "x.io", "nodeName": "node-0", "pool": pool, "devices": devices}
    return msgspec.convert({"metadata": {"name": name}, "spec": spec}, ResourceSlice)


def test_only_the_newest_generation_of_a_pool_counts() -> None:
    old, new = published(taint(), generation=1), published(generation=2)
    assert not any(device.taints for device in plan_device_taints.devices([old, new]))


async def use_device(w: harness.World, **device: Any) -> None:
    """A pod on a node with a claim that the scheduler, which is not here, has allocated."""
    made = await w.client.create(claims.claim())
    body = msgspec.json.decode(msgspec.json.encode(BOUND))
    pod = await w.client.create(claims.pod(**body))
    reserved = [{"resource": "pods", "name": "p", "uid": pod.metadata.uid}]
    status = {"allocation": allocation(**device), "reservedFor": reserved}
    changed = msgspec.structs.replace(made, status=msgspec.convert(status, type(made.status)))
    await w.client.update_status(changed)
    await w.until(lambda: w.find(core.Pod, "p") and w.list(ResourceClaim))


def test_pods_on_tainted_devices_go() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env) as w:
            slices = await w.client.create(published())
            await use_device(w, tolerations=[tolerates(30)])
            await w.quiet(5.0)
            assert w.get(core.Pod, "p").metadata.deletionTimestamp is None
            now = env.clock.now()
            fresh = published(taint(since=now)).spec
            await w.client.update(msgspec.structs.replace(slices, spec=fresh))
            await w.quiet(28.0)
            assert w.get(core.Pod, "p").metadata.deletionTimestamp is None
            marked: list[list[str]] = []

            def look(event: Any) -> None:
                kinds = [item.type for item in event.object.status.conditions]
                if "DisruptionTarget" in kinds:
                    marked.append(kinds)

            w.informers.of(core.Pod).add_handler(look)
            await w.until(lambda: "DeviceTaintManagerEviction" in w.reasons("p"), 5.0)
            assert w.messages("p")[-1:] == ["Marking for deletion"]
            await w.until(lambda: w.find(core.Pod, "p") is None)
            # The last of the conditions, as upstream.
            assert marked and marked[0][-1] == "DisruptionTarget", marked

    virtual.run(story)


def test_a_taint_that_goes_cancels() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env) as w:
            slices = await w.client.create(published(taint(since=env.clock.now())))
            await use_device(w, tolerations=[tolerates(30)])
            await w.quiet(5.0)
            live = await w.client.get(ResourceSlice, slices.metadata.name)
            await w.client.update(msgspec.structs.replace(live, spec=published().spec))
            await w.until(lambda: w.messages("p") == ["Cancelling deletion"])
            await w.quiet(60.0)
            assert w.get(core.Pod, "p").metadata.deletionTimestamp is None

    virtual.run(story)


def test_a_rule_evicts_and_says_so() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, gates=(GATE,)) as w:
            rules = w.informers.of(DeviceTaintRule)
            await w.client.create(published())
            await use_device(w)
            made = rule("None")
            made.metadata.uid = ""
            await w.client.create(made)
            await w.until(lambda: rules.list() and rules.list()[0].status.conditions)
            (condition,) = rules.list()[0].status.conditions
            assert condition.message.startswith(
                "2 published devices selected. 1 allocated device selected. "
                "1 pod would be evicted in 1 namespace "
            )
            change = {"spec": {"taint": {"effect": "NoExecute"}}}
            await w.client.patch(DeviceTaintRule, "r", None, change)
            await w.until(lambda: w.find(core.Pod, "p") is None)

            def reason() -> str:
                return str(rules.list()[0].status.conditions[0].reason)

            await w.until(lambda: reason() == "Completed", 30.0)
            assert rules.list()[0].status.conditions[0].message == (
                "1 pod evicted since starting the controller."
            )
            assert not await w.quiet(60.0)

    virtual.run(story)
