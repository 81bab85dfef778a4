"""EndpointSlices and Endpoints: whom they show, how, and how few writes it takes."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.controllers.network import backends, plan_endpoints, plan_slices
from trireme.machinery import meta
from trireme.testing import virtual

ZONES = {"a": "zone-1", "b": ""}


def service(**spec: Any) -> core.Service:
    manifest = {
        "metadata": {"name": "web", "namespace": "default", "uid": "service-uid"},
        "spec": {
            "selector": {"app": "web"},
            "clusterIP": "10.96.0.7",
            "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web"}],
            **spec,
        },
    }
    return msgspec.convert(manifest, core.Service)


def pod(number: int, *, ready: bool = True, node: str = "a", port: int = 8080) -> core.Pod:
    address = f"10.1.{number // 250}.{number % 250 + 1}"
    manifest = {
        "metadata": {
            "name": f"web-{number:04d}",
            "namespace": "default",
            "uid": f"uid-{number}",
            "labels": {"app": "web"},
        },
        "spec": {
            "nodeName": node,
            "containers": [
                {
                    "name": "main",
                    "ports": [{"name": "web", "containerPort": port, "protocol": "TCP"}],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if ready else "False",
                    "lastTransitionTime": "2030-01-01T00:00:00Z",
                }
            ],
        },
    }
    return msgspec.convert(manifest, core.Pod)


def stored(actions: list, slices: list[EndpointSlice]) -> list[EndpointSlice]:
    """The slices after the actions."""
    found = {item.metadata.name: item for item in slices}
    for action in actions:
        match action:
            case plan_slices.Create(item):
                name = f"web-{len(found)}"
                metadata = msgspec.structs.replace(item.metadata, name=name)
                found[name] = msgspec.structs.replace(item, metadata=metadata)
            case plan_slices.Update(item):
                found[item.metadata.name] = item
            case plan_slices.Delete(name):
                del found[name]
    return list(found.values())


def test_what_a_slice_shows_of_a_pod():
    ending = pod(1)
    ending.metadata.deletionTimestamp = "2030-01-01T00:00:00Z"
    finished = pod(4)
    finished.status.phase = "Succeeded"
    pods = [pod(0), ending, pod(2, ready=False, node="b"), pod(3, node="gone"), finished]
    (action,) = plan_slices.plan(service(), pods, ZONES, [])
    made = action.slice
    listed = [
        (e.addresses[0], e.conditions.ready, e.conditions.serving, e.conditions.terminating, e.zone)
        for e in made.endpoints
    ]
    assert listed == [
        ("10.1.0.1", True, True, False, "zone-1"),
        ("10.1.0.2", False, True, True, "zone-1"),
        ("10.1.0.3", False, False, False, None),
    ]
    assert [(p.name, p.port, p.protocol) for p in made.ports] == [("http", 8080, "TCP")]
    assert made.metadata.generateName == "web-"
    assert made.metadata.ownerReferences[0].uid == "service-uid"


def test_hints_keep_traffic_near():
    def hints(**options: Any) -> list[tuple[list[str], list[str]] | None]:
        wish = service(**options)
        pods = [pod(0), pod(1, node="b"), pod(2, ready=False)]
        (action,) = plan_slices.plan(wish, pods, ZONES, [])
        found = [endpoint.hints for endpoint in action.slice.endpoints]
        return [
            ([z.name for z in h.forZones], [n.name for n in h.forNodes]) if h else None
            for h in found
        ]

    assert hints() == [None, None, None]
    assert hints(trafficDistribution="PreferClose") == [(["zone-1"], []), None, None]
    near = hints(trafficDistribution="PreferSameNode")
    assert near == [(["zone-1"], ["a"]), ([], ["b"]), None]


def test_a_service_of_unready_pods_shows_them_if_it_wants_to():
    wants = service(publishNotReadyAddresses=True, clusterIP="None")
    (action,) = plan_slices.plan(wants, [pod(0, ready=False, node="gone")], ZONES, [])
    assert action.slice.endpoints[0].conditions.ready
    assert action.slice.metadata.labels[backends.LABEL_HEADLESS] == ""


def test_a_service_without_pods_has_an_empty_slice_and_keeps_it():
    slices = stored(plan_slices.plan(service(), [], ZONES, []), [])
    assert [item.endpoints for item in slices] == [[]]
    assert plan_slices.plan(service(), [], ZONES, slices) == []
    # It is written over, not replaced, when pods come, and again when they go.
    for pods in ([pod(0)], []):
        actions = plan_slices.plan(service(), pods, ZONES, slices)
        assert [type(action) for action in actions] == [plan_slices.Update]
        slices = stored(actions, slices)


def test_slices_hold_a_hundred_and_change_as_little_as_can_be():
    pods = [pod(number) for number in range(250)]
    slices = stored(plan_slices.plan(service(), pods, ZONES, []), [])
    assert [len(item.endpoints) for item in slices] == [100, 100, 50]
    assert plan_slices.plan(service(), pods, ZONES, slices) == []
    # One more goes where there is room, one that changes is changed where it is.
    actions = plan_slices.plan(service(), [*pods, pod(250)], ZONES, slices)
    assert [a.slice.metadata.name for a in actions] == ["web-2"]
    actions = plan_slices.plan(service(), [pod(0, ready=False), *pods[1:]], ZONES, slices)
    assert [a.slice.metadata.name for a in actions] == ["web-0"]
    # A place that becomes free is taken by the next that comes.
    actions = plan_slices.plan(service(), [*pods[1:], pod(251)], ZONES, slices)
    assert [a.slice.metadata.name for a in actions] == ["web-0"]
    assert plan_slices.plan(service(), pods[:200], ZONES, slices) == [plan_slices.Delete("web-2")]
    # A slice with room stays as it is rather than being filled from others.
    slices = stored(plan_slices.plan(service(), pods[50:], ZONES, slices), slices)
    assert [len(item.endpoints) for item in slices] == [50, 100, 50]


def test_pods_whose_ports_differ_are_in_slices_of_their_own():
    pods = [pod(0), pod(1, port=9090)]
    slices = stored(plan_slices.plan(service(), pods, ZONES, []), [])
    assert sorted(item.ports[0].port or 0 for item in slices) == [8080, 9090]


def test_labels_of_the_service_are_those_of_its_slices():
    slices = stored(plan_slices.plan(service(), [pod(0)], ZONES, []), [])
    named = service()
    named.metadata.labels = {"tier": "front"}
    (action,) = plan_slices.plan(named, [pod(0)], ZONES, slices)
    assert action.slice.metadata.labels["tier"] == "front"


def test_endpoints_put_ports_with_the_same_addresses_together():
    two = [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080},
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
    ]
    (subset,) = plan_endpoints.subsets(service(ports=two), [pod(1), pod(0), pod(2, ready=False)])
    assert [address.ip for address in subset.addresses] == ["10.1.0.1", "10.1.0.2"]
    assert [address.ip for address in subset.notReadyAddresses] == ["10.1.0.3"]
    assert [port.name for port in subset.ports] == ["dns", "http"]


def test_endpoints_hold_a_thousand():
    pods = [pod(number, ready=number % 3 != 0) for number in range(1200)]
    made = plan_endpoints.plan(service(), pods, None)
    (subset,) = made.subsets
    assert (len(subset.addresses), len(subset.notReadyAddresses)) == (800, 200)
    assert made.metadata.annotations[plan_endpoints.OVER_CAPACITY] == "truncated"
    assert plan_endpoints.plan(service(), pods, made) is None
    few = plan_endpoints.plan(service(), pods[:10], made)
    assert plan_endpoints.OVER_CAPACITY not in few.metadata.annotations


@virtual.test()
async def test_a_service_follows_its_pods_and_its_selector(env):
    def addresses(w: harness.World) -> list[int]:
        slices = w.list(EndpointSlice, "default")
        ours = [s for s in slices if s.metadata.labels.get("kubernetes.io/service-name") == "web"]
        found = w.find(core.Endpoints, "web")
        subsets = found.subsets if found is not None else []
        return [
            sum(bool(e.conditions.ready) for s in ours for e in s.endpoints),
            sum(len(subset.addresses) for subset in subsets),
        ]

    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        spec = core.ServiceSpec(selector={"app": "web"}, ports=[core.ServicePort(port=80)])
        metadata = meta.ObjectMeta(name="web", namespace="default")
        await w.client.create(core.Service(metadata=metadata, spec=spec))
        await w.until(lambda: addresses(w) == [3, 3])
        await w.quiet(5)
        writes = await w.quiet(200)
        assert not writes
        await w.client.delete(core.Pod, w.pods(app="web")[0].metadata.name, "default")
        await w.quiet(5)
        assert addresses(w) == [3, 3]
        nobody = {"spec": {"selector": {"app": "nobody"}}}
        await w.client.patch(core.Service, "web", "default", nobody)
        await w.until(lambda: addresses(w) == [0, 0])
        await w.client.delete(core.Service, "web", "default")
        await w.until(lambda: w.find(core.Endpoints, "web") is None)
        await w.until(
            lambda: not [s for s in w.list(EndpointSlice) if s.metadata.name[:4] == "web-"]
        )
