"""Topology hints by the capacity of zones."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from tests.controllers import harness
from tests.controllers.test_endpoints import pod, service, stored
from trireme.api.core import v1 as core
from trireme.api.discovery.v1.endpointslice_types import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointSlice,
    ForZone,
)
from trireme.controllers.network import plan_slices, plan_topology
from trireme.machinery import meta
from trireme.testing import virtual

AUTO = {"service.kubernetes.io/topology-mode": "Auto"}
EQUAL = {"a": 0.5, "b": 0.5}


def node(
    name: str, zone: str = "", cpu: str = "4", ready: str = "True", **labels: str
) -> core.Node:
    own = {"topology.kubernetes.io/zone": zone} if zone else {}
    return core.Node(
        metadata=meta.ObjectMeta(name=name, labels=own | labels),
        status=core.NodeStatus(
            allocatable={"cpu": cpu} if cpu else {},
            conditions=[core.NodeCondition(type="Ready", status=ready)],
        ),
    )


@pytest.mark.parametrize(
    ("nodes", "shares"),
    [
        ([node("1", "a"), node("2", "b", "12")], {"a": 0.25, "b": 0.75}),
        ([node("1", "a", "500m"), node("2", "b", "1500m")], {"a": 0.25, "b": 0.75}),
        ([node("1", "a"), node("2", "a"), node("3", "b", "8")], EQUAL),
        ([node("1", "a"), node("2", "b"), node("3", "c", ready="False")], EQUAL),
        ([node("1", "a"), node("2", "b"),
          node("3", **{"node-role.kubernetes.io/control-plane": ""})], EQUAL),
        ([node("1", "a"), node("2", "b"), node("3")], {}),
        ([node("1", "a"), node("2", "b"), node("3", "b", "")], {}),
        ([node("1", "a"), node("2", "a")], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_the_shares_of_zones(nodes, shares):
    assert plan_topology.ratios(nodes) == shares


def made(zones: str, hints: str = "", name: str = "s") -> EndpointSlice:
    """A slice with an endpoint for each letter of ``zones``: its zone, "-" for none, a capital for
    one that is not ready; ``hints``: the zones of their hints."""
    endpoints = [
        Endpoint(
            addresses=[f"10.0.0.{number}"],
            zone=None if letter == "-" else letter.lower(),
            conditions=EndpointConditions(ready=not letter.isupper()),
            hints=EndpointHints(forZones=[ForZone(name=hints[number])]) if hints else None,
        )
        for number, letter in enumerate(zones)
    ]
    return EndpointSlice(
        metadata=meta.ObjectMeta(name=name), addressType="IPv4", endpoints=endpoints, ports=[]
    )


def hints(slice_: EndpointSlice) -> str:
    return "".join(e.hints.forZones[0].name if e.hints else "-" for e in slice_.endpoints)


@pytest.mark.parametrize(
    ("zones", "shares", "expected"),
    [
        ("ab", EQUAL, "ab"),
        ("aabb", EQUAL, "aabb"),
        ("aaab", EQUAL, "baab"),
        ("aaaa", EQUAL, "bbaa"),
        ("aAbB", EQUAL, "a-b-"),
        ("aaaab", {"a": 0.8, "b": 0.2}, "aaaab"),
        ("cabb", EQUAL, "cabb"),
        ("aaaaaabbbccc", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, "bcaaaabbbccc"),
    ],
)
def test_each_zone_gets_its_share(zones, shares, expected):
    found = plan_topology.hint([made(zones)], [], shares)
    assert found.problem == ""
    assert [hints(item) for item in found.slices] == [expected]
    assert found.by_zone == Counter(expected.replace("-", ""))
    # And keeps it.
    again = plan_topology.hint([], found.slices, shares)
    if "c" not in zones or "c" in shares:
        assert (again.slices, again.by_zone, again.problem) == ([], found.by_zone, "")


@pytest.mark.parametrize(
    ("zones", "shares", "why"),
    [
        ("ab", {}, "Insufficient Node information"),
        ("a", EQUAL, "Insufficient number of endpoints (1 endpoints, 2 zones)"),
        ("aA", EQUAL, "Insufficient number of endpoints (1 endpoints, 2 zones)"),
        ("aab", EQUAL, "exceeding overload threshold (3 endpoints, 2 zones)"),
        ("aab-", EQUAL, "do not have a zone"),
    ],
)
def test_why_there_are_no_hints(zones, shares, why):
    changed, unchanged = made(zones), made("ab", "ab", "t")
    only = plan_topology.hint([changed], [], shares)
    assert why in only.problem
    assert [hints(item) for item in only.slices] == ["-" * len(zones)]
    if not shares:
        both = plan_topology.hint([changed], [unchanged], shares)
        assert [hints(item) for item in both.slices] == ["-" * len(zones), "--"]


def test_a_slice_whose_hints_still_do_stays():
    there = made("aabb", "aabb", "t")
    found = plan_topology.hint([made("ab")], [there], EQUAL)
    assert [item.metadata.name for item in found.slices] == ["s"]
    assert found.by_zone == {"a": 3, "b": 3}
    # One that hints to a zone that is no more, or has no hint, does not.
    for stale in (made("aabb", "aabc", "t"), made("aabb", name="t")):
        found = plan_topology.hint([], [stale], EQUAL)
        assert [hints(item) for item in found.slices] == ["aabb"]


def test_who_has_too_few():
    assert not plan_topology.is_overloaded({"a": 2, "b": 2}, EQUAL)
    assert plan_topology.is_overloaded({"a": 4, "b": 1}, EQUAL)
    assert plan_topology.is_overloaded({"a": 4}, EQUAL)
    assert plan_topology.is_overloaded({"a": 4}, {})
    assert not plan_topology.is_overloaded({}, {})


def test_a_second_plan_writes_nothing():
    wish = service()
    wish.metadata.annotations = dict(AUTO)
    zones = {"a": "a", "b": "b"}
    pods = [pod(0, node="a"), pod(1, node="a"), pod(2, node="a"), pod(3, node="b")]
    slices: list[EndpointSlice] = []
    for _ in range(2):
        actions, _ = plan_slices.hint(
            wish, plan_slices.plan(wish, pods, zones, slices), slices, EQUAL
        )
        slices = stored(actions, slices)
    assert actions == []
    assert Counter(hints(slices[0])) == {"a": 2, "b": 2}
    # Without the annotation they go.
    plain = msgspec.structs.replace(wish, metadata=service().metadata)
    slices = stored(plan_slices.plan(plain, pods, zones, slices), slices)
    assert hints(slices[0]) == "----"


@virtual.test()
async def test_hints_come_and_go_with_the_annotation(env):
    async with harness.world(env, plays="") as w:
        for name, zone in (("n0", "a"), ("n1", "b")):
            await w.add_node(name, **{"topology.kubernetes.io/zone": zone})
        await w.client.create(harness.deployment(replicas=4))
        wish = core.Service(
            metadata=meta.ObjectMeta(name="web", namespace="default", annotations=AUTO),
            spec=core.ServiceSpec(selector={"app": "web"}, ports=[core.ServicePort(port=80)]),
        )
        await w.client.create(wish)

        def hinted() -> Counter[str]:
            slices = [
                item
                for item in w.list(EndpointSlice)
                if item.metadata.labels.get("kubernetes.io/service-name") == "web"
            ]
            return Counter("".join(map(hints, slices)))

        await w.until(lambda: hinted() == {"a": 2, "b": 2}, 120)
        assert "TopologyAwareHintsEnabled" in w.reasons("web")
        assert "Topology Aware Hints has been enabled, addressType: IPv4" in w.messages("web")
        # A zone more: no endpoint is in it, and its share is to be served.
        await w.add_node("n2", **{"topology.kubernetes.io/zone": "c"})
        await w.until(lambda: hinted() == {"-": 4} or len(hinted()) == 3)
        change = {"metadata": {"annotations": {"service.kubernetes.io/topology-mode": None}}}
        await w.client.patch(core.Service, "web", "default", change)
        await w.until(lambda: hinted() == {"-": 4})
        assert "TopologyAwareHintsDisabled" in w.reasons("web")
        assert not await w.quiet(30)
