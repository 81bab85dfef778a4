"""ServiceCIDRs become ready, and go when no Service has an address of them alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controllers import harness
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.api.networking.v1.ipaddress import IPAddress, IPAddressSpec, ParentReference
from trireme.api.networking.v1.servicecidr import ServiceCIDR, ServiceCIDRSpec
from trireme.controllers.network import plan_service_cidrs, servicecidrs
from trireme.domain import service_cidrs
from trireme.machinery import meta
from trireme.testing import virtual


def cidr(name: str, *networks: str) -> ServiceCIDR:
    return ServiceCIDR(
        metadata=meta.ObjectMeta(name=name), spec=ServiceCIDRSpec(cidrs=list(networks))
    )


def service(name: str, address: str) -> core.Service:
    spec = core.ServiceSpec(clusterIP=address, ports=[core.ServicePort(port=80)])
    return core.Service(metadata=meta.ObjectMeta(name=name, namespace="default"), spec=spec)


def ready(w: World, name: str) -> tuple[str, str] | None:
    found = w.find(ServiceCIDR, name, "")
    for item in found.status.conditions if found is not None else ():
        if item.type == "Ready":
            return item.status, item.reason
    return None


@virtual.test()
async def test_a_network_comes_and_goes(env):
    async with harness.world(env, plays="", controllers=("service-cidr-controller",)) as w:
        await w.client.create(cidr("new", "10.200.0.0/29"))
        await w.until(lambda: ready(w, "new") == ("True", ""))
        found = await w.client.get(ServiceCIDR, "new")
        assert found.metadata.finalizers == [servicecidrs.FINALIZER]
        assert found.status.conditions[0].message == "Kubernetes Service CIDR is ready"
        owner = {(item.manager, item.operation) for item in found.metadata.managedFields}
        assert ("service-cidr-controller", "Apply") in owner
        await w.client.create(service("s", "10.200.0.3"))
        await w.client.delete(ServiceCIDR, "new")
        await w.until(lambda: ready(w, "new") == ("False", "Terminating"))
        await env.clock.sleep(60)
        assert ready(w, "new") == ("False", "Terminating")
        await w.client.delete(core.Service, "s", "default")
        await w.until(lambda: w.find(ServiceCIDR, "new", "") is None, 15)


@virtual.test()
async def test_a_network_goes_when_another_has_its_addresses(env):
    async with harness.world(env, plays="", controllers=("service-cidr-controller",)) as w:
        await w.client.create(cidr("small", "10.200.0.0/29"))
        await w.client.create(service("s", "10.200.0.3"))
        await w.until(lambda: ready(w, "small") == ("True", ""))
        await w.client.delete(ServiceCIDR, "small")
        began = env.clock.monotonic()
        await w.until(lambda: ready(w, "small") == ("False", "Terminating"))
        await w.client.create(cidr("large", "10.200.0.0/24"))
        await w.until(lambda: w.find(ServiceCIDR, "small", "") is None)
        assert env.clock.monotonic() - began >= 9


def address(name: str, managed: bool = True) -> IPAddress:
    labels = {service_cidrs.MANAGED_BY: service_cidrs.ALLOCATOR} if managed else {}
    parent = ParentReference(resource="services", namespace="a", name="b")
    return IPAddress(
        metadata=meta.ObjectMeta(name=name, labels=labels), spec=IPAddressSpec(parentRef=parent)
    )


OWN = ["10.0.0.0/24", "fd00::/112"]


@pytest.mark.parametrize(
    ("others", "addresses", "expected"),
    [
        ([], [], True),
        ([], [address("10.0.0.1")], False),
        ([], [address("fd00::1")], False),
        ([], [address("10.0.0.1", managed=False)], True),
        ([], [address("10.0.1.1")], True),
        ([["10.0.0.0/16", "fd00::/64"]], [address("10.0.0.1"), address("fd00::1")], True),
        ([["10.0.0.0/16"], ["fd00::/112"]], [address("10.0.0.1"), address("fd00::1")], True),
        ([["10.0.0.0/16"]], [address("10.0.0.1"), address("fd00::1")], False),
        ([["10.0.0.0/16"]], [address("10.0.0.1")], True),
        ([["10.0.0.0/30"]], [address("10.0.0.1")], True),
        # The network's own address and its broadcast address are nobody's.
        ([["10.0.0.4/30"]], [address("10.0.0.4")], False),
        ([["10.0.0.4/30"]], [address("10.0.0.7")], False),
    ],
)
def test_what_may_be_deleted(others: Any, addresses: Any, expected: bool):
    own = cidr("own", *OWN)
    cidrs = [own, *(cidr(f"o{n}", *networks) for n, networks in enumerate(others))]
    assert plan_service_cidrs.can_delete(own, cidrs, addresses) is expected


def test_whom_a_change_is_about():
    cidrs = [cidr("a", "10.0.0.0/16"), cidr("b", "10.0.1.0/24"), cidr("c", *OWN)]
    assert plan_service_cidrs.overlapping(cidrs[1], cidrs) == ["a", "b"]
    assert plan_service_cidrs.overlapping(cidrs[2], cidrs) == ["a", "c"]
    assert plan_service_cidrs.containing(address("10.0.1.1"), cidrs) == ["a", "b"]
    assert plan_service_cidrs.containing(address("10.0.1.1", managed=False), cidrs) == []
    assert plan_service_cidrs.containing(address("fd00::1"), cidrs) == ["c"]
