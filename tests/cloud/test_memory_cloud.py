"""The provider in memory keeps the contract."""

from __future__ import annotations

from tests.cloud import suite
from trireme.api.core import v1 as core
from trireme.cloud.contract import Cloud
from trireme.machinery.meta import ObjectMeta
from trireme.testing.memory_cloud import MemoryCloud


def service(name: str) -> core.Service:
    spec = core.ServiceSpec(type="LoadBalancer", ports=[core.ServicePort(port=80)])
    return core.Service(metadata=ObjectMeta(name=name, namespace="default", uid=name), spec=spec)


def node(name: str) -> core.Node:
    return core.Node(metadata=ObjectMeta(name=name))


async def test_contract():
    cloud = MemoryCloud()
    cloud.add_machine("a")
    cloud.add_group("pool", node("template"), 0, 2)

    def make() -> Cloud:
        return cloud

    await suite.check_instances(cloud, node("a"))
    await suite.check_load_balancers(make, [service("x"), service("y")], [node("a"), node("b")])
    await suite.check_routes(make, "a", "10.0.0.0/24")
    await suite.check_node_groups(make, lambda: None)
