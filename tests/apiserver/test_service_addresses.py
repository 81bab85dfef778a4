"""Addresses of Services: out of which networks, and that an IPAddress says who has which.

The answers are those of upstream's API server v1.36.2 to the same requests.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.apiserver.test_reading import Api
from trireme.api.core.v1.service import Service, ServicePort, ServiceSpec
from trireme.api.networking.v1.ipaddress import IPAddress, IPAddressSpec, ParentReference
from trireme.api.networking.v1.servicecidr import ServiceCIDR, ServiceCIDRSpec
from trireme.apiserver.bootstrap import plan_addresses
from trireme.apiserver.bootstrap.addresses import AddressRepair
from trireme.apiserver.bootstrap.plan_addresses import Create, Delete
from trireme.machinery import time
from trireme.machinery.meta import ObjectMeta
from trireme.store.memory import MemoryStore
from trireme.testing import control_plane, virtual

NETWORKING = "/apis/networking.k8s.io/v1"
ADDRESSES, CIDRS = f"{NETWORKING}/ipaddresses", f"{NETWORKING}/servicecidrs"
SERVICES = "/api/v1/namespaces/default/services"
MERGE = "application/merge-patch+json"
MISMATCH = "the provided network does not match the current range"


def service(name: str, address: str = "", **spec: Any) -> dict[str, Any]:
    own = {"clusterIP": address} if address else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **own, **spec},
    }


def cidr(name: str, *networks: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name},
        "spec": {"cidrs": networks},
    }


async def addresses(ask: Api) -> dict[str, str]:
    """Each IPAddress, and the name of its Service."""
    _, found = await ask("GET", ADDRESSES)
    return {item["metadata"]["name"]: item["spec"]["parentRef"]["name"] for item in found["items"]}


async def test_each_address_is_an_object() -> None:
    async with control_plane.api_server() as server:
        ask = Api(server)
        assert await addresses(ask) == {"10.96.0.1": "kubernetes"}
        assert (await ask("POST", SERVICES, service("a", "10.96.0.77")))[0] == 201
        _, made = await ask("GET", f"{ADDRESSES}/10.96.0.77")
        assert made["metadata"]["labels"] == {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        assert made["spec"] == {
            "parentRef": {"resource": "services", "namespace": "default", "name": "a"}
        }
        await ask("POST", SERVICES, service("headless", "None"))
        _, other = await ask("POST", SERVICES, service("b"))
        text = other["spec"]["clusterIP"]
        assert await addresses(ask) == {"10.96.0.1": "kubernetes", "10.96.0.77": "a", text: "b"}
        change = {"spec": {"type": "ExternalName", "externalName": "x.y", "clusterIP": None}}
        change["spec"]["clusterIPs"] = None
        assert (await ask("PATCH", f"{SERVICES}/a", change, media=MERGE))[0] == 200
        await ask("DELETE", f"{SERVICES}/b")
        assert await addresses(ask) == {"10.96.0.1": "kubernetes"}
        back = {"spec": {"type": "ClusterIP", "externalName": None}}
        _, again = await ask("PATCH", f"{SERVICES}/a", back, media=MERGE)
        assert (await addresses(ask))[again["spec"]["clusterIP"]] == "a"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.0.0.1", MISMATCH),
        ("10.96.0.0", MISMATCH),
        ("10.111.255.255", MISMATCH),
        ("10.96.0.1", "provided IP is already allocated"),
        ("10.96.0.78", "provided IP is already allocated"),
    ],
)
async def test_addresses_that_a_service_cannot_have(address: str, why: str) -> None:
    async with control_plane.api_server() as server:
        ask = Api(server)
        foreign = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {"name": "10.96.0.78"},
            "spec": {"parentRef": {"resource": "things", "name": "x"}},
        }
        assert (await ask("POST", ADDRESSES, foreign))[0] == 201
        before = await addresses(ask)
        status, error = await ask("POST", SERVICES, service("s", address))
        assert (status, error["message"]) == (
            422,
            f'Service "s" is invalid: spec.clusterIPs: Invalid value: ["{address}"]: '
            f"failed to allocate IP {address}: {why}",
        )
        assert await addresses(ask) == before


async def test_a_write_that_fails_and_a_dry_run_take_no_address() -> None:
    async with control_plane.api_server() as server:
        ask = Api(server)
        await ask("POST", SERVICES, service("a"))
        before = await addresses(ask)
        assert (await ask("POST", SERVICES, service("a")))[0] == 409
        port = [{"port": 1, "nodePort": 1}]
        assert (await ask("POST", SERVICES, service("b", type="NodePort", ports=port)))[0] == 422
        dry = await ask("POST", f"{SERVICES}?dryRun=All", service("b"))
        assert (dry[0], dry[1]["spec"]["clusterIP"]) == (201, "10.96.0.0")
        taken = await ask("POST", f"{SERVICES}?dryRun=All", service("b", "10.96.0.1"))
        assert taken[0] == 201
        external = {"spec": {"type": "ExternalName", "externalName": "x.y", "clusterIP": None}}
        dropped = f"{SERVICES}/a?dryRun=All"
        assert (await ask("PATCH", dropped, external, media=MERGE))[0] in (200, 422)
        assert (await ask("DELETE", dropped))[0] == 200
        assert await addresses(ask) == before


async def test_more_networks() -> None:
    async with control_plane.api_server(service_cidr="10.96.0.0/30") as server:
        ask = Api(server)
        assert (await ask("POST", SERVICES, service("a")))[1]["spec"]["clusterIP"] == "10.96.0.2"
        status, error = await ask("POST", SERVICES, service("b"))
        assert (status, error["message"]) == (
            500,
            "Internal error occurred: "
            'failed to allocate a serviceIP for Service "b": range is full',
        )
        assert (await ask("POST", CIDRS, cidr("more", "10.200.0.0/29")))[0] == 201
        _, made = await ask("POST", SERVICES, service("b"))
        assert made["spec"]["clusterIP"].startswith("10.200.0.")
        await ask("DELETE", f"{SERVICES}/b")
        assert (await ask("POST", SERVICES, service("b", "10.200.0.3")))[0] == 201
        # One that is not ready, or is being deleted, gives nothing out, and takes back what it has.
        change = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x",
                  "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}  # fmt: skip
        assert (await ask("PATCH", f"{CIDRS}/more/status", change, media=MERGE))[0] == 200
        status, error = await ask("POST", SERVICES, service("c", "10.200.0.4"))
        assert status == 422 and MISMATCH in error["message"]
        await ask("DELETE", f"{SERVICES}/b")
        assert "10.200.0.3" not in await addresses(ask)


async def test_no_two_services_of_two_servers_have_the_same_address() -> None:
    store = MemoryStore()
    async with control_plane.api_server(store=store, service_cidr="10.96.0.0/27") as one:
        two = type(one)(one.context.config, one.context.env)
        asks = [Api(one), Api(two)]
        made = await asyncio.gather(
            *(asks[n % 2]("POST", SERVICES, service(f"s{n}")) for n in range(29))
        )
        assert {status for status, _ in made} == {201}
        assert len({obj["spec"]["clusterIP"] for _, obj in made}) == 29
        assert (await asks[1]("POST", SERVICES, service("late")))[0] == 500
        await two.close()


@virtual.test()
async def test_what_is_missing_or_left_behind_is_repaired(env) -> None:
    async with control_plane.api_server(env) as server:
        ask, repair = Api(server), AddressRepair(server.context)
        await ask("POST", SERVICES, service("a", "10.96.0.77"))
        await ask("DELETE", f"{ADDRESSES}/10.96.0.77")
        await repair.repair()
        assert (await addresses(ask))["10.96.0.77"] == "a"
        orphan = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {
                "name": "10.96.0.99",
                "labels": {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"},
            },
            "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "x"}},
        }
        await ask("POST", ADDRESSES, orphan)
        await env.clock.sleep(50)
        await repair.repair()
        assert "10.96.0.99" in await addresses(ask)
        await env.clock.sleep(11)
        await repair.repair()
        assert await addresses(ask) == {"10.96.0.1": "kubernetes", "10.96.0.77": "a"}


NOW = 1_000_000.0


def address(name: str, parent: str = "a", *, uid: str = "u", resource: str = "services",
            managed: bool = True, age: float = 100.0) -> IPAddress:  # fmt: skip
    labels = {
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    made = time.format(NOW - age)
    return IPAddress(
        metadata=ObjectMeta(
            name=name, uid=uid, labels=labels if managed else {}, creationTimestamp=made
        ),
        spec=IPAddressSpec(ParentReference(resource=resource, namespace="ns", name=parent)),
    )


def stored(name: str, ip: str, kind: str = "ClusterIP") -> Service:
    return Service(
        metadata=ObjectMeta(name=name, namespace="ns", creationTimestamp=time.format(NOW - 1000)),
        spec=ServiceSpec(type=kind, clusterIP=ip, clusterIPs=[ip], ports=[ServicePort(port=1)]),
    )


ONE = "10.0.0.1"


@pytest.mark.parametrize(
    ("services", "found", "expected", "pending"),
    [
        ([stored("a", ONE)], [address(ONE)], [], False),
        ([stored("a", ONE)], [], ["create"], False),
        ([stored("a", "None"), stored("b", "x", "ExternalName")], [], [], False),
        ([stored("a", "192.0.2.1")], [], [], False),
        ([stored("a", ONE)], [address(ONE, resource="things")], ["delete", "create"], False),
        ([stored("a", ONE)], [address(ONE, "gone")], ["delete", "create"], False),
        ([stored("a", ONE)], [address(ONE, managed=False)], ["delete", "create"], False),
        ([stored("a", ONE), stored("b", ONE)], [address(ONE)], [], False),
        # The other Service does not have it: first it goes, then it is made anew.
        ([stored("a", ONE), stored("b", "10.0.0.2")], [address(ONE, "b"), address("10.0.0.2", "b")],
         ["delete"], False),
        ([], [address(ONE)], ["delete"], False),
        ([], [address(ONE, age=59)], [], True),
        ([], [address(ONE, managed=False)], [], False),
        ([], [address(ONE, resource="things", age=1)], ["delete"], False),
        ([stored("a", "x", "ExternalName")], [address(ONE, age=59)], [], True),
        ([stored("a", "x", "ExternalName")], [address(ONE, age=61)], ["delete"], False),
        ([stored("a", "None")], [address(ONE, age=4)], [], True),
        ([stored("a", "None")], [address(ONE, age=6)], ["delete"], False),
    ],
)  # fmt: skip
def test_the_plan_of_a_repair(services, found, expected, pending) -> None:
    cidrs = [ServiceCIDR(spec=ServiceCIDRSpec(cidrs=["10.0.0.0/24"]))]
    made = plan_addresses.plan(services, found, cidrs, NOW)
    names = {Create: "create", Delete: "delete"}
    assert [names[type(action)] for action in made.actions] == expected
    assert made.pending == pending
    for action in made.actions:
        if isinstance(action, Create):
            assert action.address.metadata.name == ONE
            assert action.address.spec.parentRef.name == "a"
        else:
            assert (action.name, action.uid) == (ONE, "u")
