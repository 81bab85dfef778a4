"""Which endpoints serve a Service port, and the rules that follow."""

from collections.abc import Iterable
from typing import Any

import pytest

from trireme.api.core.v1.service import Service, ServicePort, ServiceSpec
from trireme.api.discovery.v1.endpointslice_types import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForZone,
)
from trireme.machinery.meta import ObjectMeta
from trireme.proxy import plan, ruleset, sync
from trireme.proxy.model import Model
from trireme.proxy.plan import NodeFacts

NODE = NodeFacts(addresses=("172.29.0.2",), pods=("10.244.0.0/16",), services=("10.96.0.0/12",))


def service(**spec: Any) -> Service:
    given = {
        "type": "ClusterIP",
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7"],
        "ports": [ServicePort(name="http", protocol="TCP", port=80, nodePort=0)],
    } | spec
    return Service(metadata=ObjectMeta(name="web", namespace="shop"), spec=ServiceSpec(**given))


def endpoint(
    address: str,
    node: str = "node-0",
    *,
    ready: bool | None = True,
    serving: bool | None = None,
    terminating: bool = False,
    zone: str = "",
) -> Endpoint:
    return Endpoint(
        addresses=[address],
        nodeName=node,
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hints=EndpointHints(forZones=[ForZone(name=zone)]) if zone else None,
    )


def slice_(*endpoints: Endpoint) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(
            name="web-1", namespace="shop", labels={"kubernetes.io/service-name": "web"}
        ),
        addressType="IPv4",
        endpoints=list(endpoints),
        ports=[EndpointPort(name="http", protocol="TCP", port=8080)],
    )


def port_of(expected: Service, *endpoints: Endpoint, zone: str = ""):
    model = Model("node-0", zone)
    model.set_service(expected)
    model.set_slice(slice_(*endpoints))
    ports = model.update()["shop", "web"]
    return ports[0] if ports else None


@pytest.mark.parametrize(
    ("endpoints", "zone", "cluster", "local"),
    [
        ([endpoint("10.244.0.3"), endpoint("10.244.1.3", "node-1")], "", [3, 13], [3]),
        ([endpoint("10.244.0.3", ready=False), endpoint("10.244.1.3", "node-1")], "", [13], []),
        ([endpoint("10.244.0.3", ready=None)], "", [3], [3]),
        (
            [endpoint("10.244.0.3", ready=False, serving=True, terminating=True)],
            "",
            [3],
            [3],
        ),
        (
            [
                endpoint("10.244.0.3", ready=False, serving=True, terminating=True),
                endpoint("10.244.1.3", "node-1"),
            ],
            "",
            [13],
            [3],
        ),
        (
            [endpoint("10.244.0.3", zone="a"), endpoint("10.244.1.3", "node-1", zone="b")],
            "b",
            [13],
            [3],
        ),
        (
            [endpoint("10.244.0.3", zone="a"), endpoint("10.244.1.3", "node-1")],
            "a",
            [3, 13],
            [3],
        ),
    ],
)
def test_which_endpoints_serve(
    endpoints: list[Endpoint], zone: str, cluster: list[int], local: list[int]
) -> None:
    port = port_of(service(), *endpoints, zone=zone)

    def short(items: Iterable[Any]) -> list[int]:
        return [int(e.address.split(".")[2]) * 10 + int(e.address[-1]) for e in items]

    assert short(port.cluster) == cluster
    assert short(port.local) == local


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"type": "ExternalName", "clusterIP": "", "clusterIPs": [], "externalName": "x.y"},
    ],
)
def test_headless_and_external_names_have_no_rules(spec: dict[str, Any]) -> None:
    model = Model("node-0")
    model.set_service(service(**spec))
    assert model.update() == {}


def rules_of(expected: Service, *endpoints: Endpoint) -> plan.Part:
    return plan.part(port_of(expected, *endpoints), NODE)


def only(part: plan.Part, prefix: str) -> tuple[str, ...]:
    (name,) = [name for name in part.chains if name.startswith(prefix)]
    return part.chains[name].rules


def test_a_cluster_address_leads_to_a_random_endpoint() -> None:
    part = rules_of(service(), endpoint("10.244.0.3"), endpoint("10.244.1.3", "node-1"))
    (chain,) = part.chains
    assert part.elements["service-ips"] == {"10.96.0.7 . tcp . 80": f"goto {chain}"}
    assert part.chains[chain].rules == (
        "meta l4proto tcp dnat ip addr . port to numgen random mod 2 map "
        "{ 0 : 10.244.0.3 . 8080, 1 : 10.244.1.3 . 8080 }",
    )
    assert part.elements["hairpin-connections"] == {"10.244.0.3 . 10.244.0.3 . tcp . 8080": ""}


def test_no_endpoint_rejects_and_none_here_drops() -> None:
    assert rules_of(service()).elements["no-endpoint-services"] == {
        "10.96.0.7 . tcp . 80": "goto reject-chain"
    }
    far = endpoint("10.244.1.3", "node-1")
    assert rules_of(service(internalTrafficPolicy="Local"), far).elements[
        "no-endpoint-services"
    ] == {"10.96.0.7 . tcp . 80": "drop"}


def test_a_node_port_masquerades_unless_local() -> None:
    ports = [ServicePort(name="http", protocol="TCP", port=80, nodePort=30080)]
    near, far = endpoint("10.244.0.3"), endpoint("10.244.1.3", "node-1")
    part = rules_of(service(type="NodePort", ports=ports), near, far)
    external = only(part, "external-")
    assert external[0] == "jump mark-for-masquerade"
    assert external[1].startswith("goto service-")
    policy = {"type": "NodePort", "ports": ports, "externalTrafficPolicy": "Local"}
    external = only(rules_of(service(**policy), near, far), "external-")
    assert external[0].startswith("ip saddr { 10.244.0.0/16 } goto service-")
    assert external[-1].startswith("goto local-")
    part = rules_of(service(**policy), far)
    assert part.elements["no-endpoint-nodeports"] == {"tcp . 30080": "drop"}


def test_affinity_remembers_clients_per_endpoint() -> None:
    part = rules_of(service(sessionAffinity="ClientIP"), endpoint("10.244.0.3"))
    ((name, remembered),) = part.sets.items()
    assert remembered.declaration.endswith("timeout 10800s;")
    assert only(part, "endpoint-")[0] == f"update @{name} {{ ip saddr }}"
    assert only(part, "service-")[0].startswith(f"ip saddr @{name} goto endpoint-")


def test_only_what_changed_is_said() -> None:
    planner, model = sync.Planner(NODE), Model("node-0")
    model.set_service(service())
    model.set_slice(slice_(endpoint("10.244.0.3")))
    first, _ = planner.change(model.update())
    assert model.update() == {}
    model.set_slice(slice_(endpoint("10.244.0.3"), endpoint("10.244.1.3", "node-1")))
    second, _ = planner.change(model.update())
    lines = ruleset.diff("ip", "t", first, second).splitlines()
    assert [line.split()[:2] for line in lines] == [["flush", "chain"], ["add", "rule"]]
    assert ruleset.diff("ip", "t", second, second) == ""


def test_a_network_of_services_more() -> None:
    planner, model = sync.Planner(NODE), Model("node-0")
    first, _ = planner.change(model.update())
    nested = ["10.96.0.0/12", "10.96.0.0/12", "10.96.4.0/24", "fd00::/112"]
    planner.set_services(plan.service_networks(nested))
    same, _ = planner.change(model.update())
    assert ruleset.diff("ip", "t", first, same) == ""
    planner.set_services(plan.service_networks(["10.200.0.0/24", "10.96.0.0/12"]))
    second, _ = planner.change(model.update())
    assert "ip daddr { 10.96.0.0/12, 10.200.0.0/24 } drop" in ruleset.diff("ip", "t", same, second)
    assert plan.service_networks(["10.96.0.0/12", "fd00::/112"], "ip6") == ("fd00::/112",)


def test_udp_flows_of_endpoints_that_went_are_stale() -> None:
    udp = [ServicePort(name="http", protocol="UDP", port=80)]
    model, planner = Model("node-0"), sync.Planner(NODE)

    def serve(*endpoints: Endpoint) -> list[str | None]:
        given = slice_(*endpoints)
        given.ports[0].protocol = "UDP"
        model.set_slice(given)
        _, stale = planner.change(model.update())
        return [None if gone is None else gone.address for _, gone in stale]

    model.set_service(service(ports=udp))
    assert serve() == []
    assert serve(endpoint("10.244.0.3"), endpoint("10.244.0.4")) == [None]
    assert serve(endpoint("10.244.0.4")) == ["10.244.0.3"]
