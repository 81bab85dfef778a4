"""The cloud of a local cluster, without its host: addresses, health, the record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cloud import suite

from trireme.api.core import v1 as core
from trireme.cloud.contract import Cloud
from trireme.cluster import settings
from trireme.cluster.hosts import names, plan
from trireme.cluster.local_cloud import plan_balancers, provider
from trireme.cluster.local_cloud.balancers import LocalLoadBalancers
from trireme.cluster.local_cloud.plan_balancers import NoAddress
from trireme.machinery.meta import ObjectMeta
from trireme.testing import virtual
from trireme.testing.memory_cloud import MemoryCloud

POOL = plan_balancers.pool("172.29.7.0/24")


def service(name: str, **spec: Any) -> core.Service:
    fields: dict[str, Any] = {"type": "LoadBalancer", "ports": [core.ServicePort(port=80)], **spec}
    metadata = ObjectMeta(name=name, namespace="default", uid=name)
    return core.Service(metadata=metadata, spec=core.ServiceSpec(**fields))


def node(number: int) -> core.Node:
    addresses = [
        core.NodeAddress(type="InternalIP", address=f"172.29.7.{number + 2}"),
        core.NodeAddress(type="Hostname", address=f"node-{number}"),
    ]
    return core.Node(
        metadata=ObjectMeta(name=f"node-{number}"), status=core.NodeStatus(addresses=addresses)
    )


MACHINES = {f"node-{number}": f"172.29.7.{number + 2}" for number in range(3)} | {"node-9": ""}


class Host:
    """The host's routes, and which nodes answer at which port."""

    def __init__(self, env, folder: Path) -> None:
        self.env = env
        self.file = folder / "load-balancers.json"
        self.routes: dict[str, list[str]] = {}
        self.sick: set[str] = set()
        self.asked: list[tuple[str, int]] = []
        self.writes = 0
        self.load_balancers = self.new()

    async def is_healthy(self, address: str, port: int) -> bool:
        self.asked.append((address, port))
        return address not in self.sick

    async def set_routes(self, routes: Mapping[str, Sequence[str]]) -> None:
        self.writes += 1
        self.routes = {address: list(hops) for address, hops in routes.items()}

    def new(self) -> LocalLoadBalancers:
        made = LocalLoadBalancers(
            self.env, self.file, POOL, MACHINES.__getitem__, self.is_healthy, self.set_routes
        )
        self.load_balancers = made
        return made


class Balancing:
    """A ``Cloud`` with these load balancers and nothing else."""

    name = "trireme"
    instances = routes = clusters = node_groups = None

    def __init__(self, load_balancers: LocalLoadBalancers) -> None:
        self.load_balancers = load_balancers


def test_no_node_has_an_address_of_the_pool():
    made = plan.make("x", names.MAX_NODES)
    pool = plan_balancers.pool(made.underlay)
    assert len(pool) == 53
    assert not set(pool) & {made.host_ip, *(one.ip for one in made.nodes)}
    assert not {address.rpartition(".")[2] for address in pool} & {"0", "1", "255"}


@virtual.test()
async def test_contract(env, tmp_path):
    host = Host(env, tmp_path)

    def make() -> Cloud:
        return Balancing(host.new())

    nodes = [node(0), node(1)]
    await suite.check_load_balancers(make, [service("x"), service("y")], nodes)
    assert host.routes == {}


@virtual.test()
async def test_traffic_goes_to_healthy_nodes(env, tmp_path):
    host = Host(env, tmp_path)
    host.sick = {"172.29.7.3"}
    cloud = host.load_balancers
    made = await cloud.ensure_load_balancer("c", service("x"), [node(0), node(1)])
    address = made.ingress[0].ip
    assert host.routes == {address: ["172.29.7.2"]}
    task = asyncio.create_task(cloud.run())
    try:
        host.sick = set()
        await env.clock.sleep(3.0)
        assert host.routes == {address: ["172.29.7.2", "172.29.7.3"]}
        written = host.writes
        await env.clock.sleep(60.0)
        assert host.writes == written
        host.sick = {"172.29.7.2", "172.29.7.3"}
        await env.clock.sleep(3.0)
        assert host.routes == {}
        host.sick = set()
        local = service("x", healthCheckNodePort=30999)
        await cloud.ensure_load_balancer("c", local, [node(0)])
        assert host.asked[-1] == ("172.29.7.2", 30999)
        await cloud.ensure_load_balancer_deleted("c", local)
        asked = len(host.asked)
        await env.clock.sleep(60.0)
        assert len(host.asked) <= asked + 1, "nobody is asked for nothing"
    finally:
        task.cancel()


@virtual.test()
async def test_addresses_that_are_asked_for(env, tmp_path):
    cloud = Host(env, tmp_path).load_balancers
    asked = await cloud.ensure_load_balancer("c", service("x", loadBalancerIP=POOL[7]), ())
    assert asked.ingress[0].ip == POOL[7]
    with pytest.raises(NoAddress, match="is another Service's"):
        await cloud.ensure_load_balancer("c", service("y", loadBalancerIP=POOL[7]), ())
    for wrong in ("172.29.7.2", "10.0.0.1", "x"):
        with pytest.raises(NoAddress, match=r"is not one of 172\.29\.7\.202 to 172\.29\.7\.254"):
            await cloud.ensure_load_balancer("c", service("y", loadBalancerIP=wrong), ())
    for number in range(len(POOL) - 1):
        await cloud.ensure_load_balancer("c", service(f"n{number}"), ())
    with pytest.raises(NoAddress, match="all 53 addresses of load balancers are in use"):
        await cloud.ensure_load_balancer("c", service("y"), ())


@virtual.test()
async def test_an_address_survives_the_loss_of_the_record(env, tmp_path):
    host = Host(env, tmp_path)
    lost = service("x")
    lost.status.loadBalancer.ingress = [core.LoadBalancerIngress(ip=POOL[5])]
    made = await host.load_balancers.ensure_load_balancer("c", lost, ())
    assert made.ingress[0].ip == POOL[5]


async def test_machines(tmp_path, monkeypatch):
    cluster = settings.Settings(
        name="x",
        state_dir=str(tmp_path),
        run_dir=str(tmp_path),
        datastore="memory",
        port=1,
        nodes=tuple(map(settings.of, plan.make("x", 2).nodes)),
    )

    made = MemoryCloud()
    made.name = "trireme"
    monkeypatch.setattr(MemoryCloud, "instances", provider.LocalInstances(cluster, None))
    await suite.check_instances(made, core.Node(metadata=ObjectMeta(name="node-1")))
    joined = cluster.with_node(plan.node(plan.make("x", 2), 2))
    assert joined.nodes[2].name == "node-2"
    assert joined.nodes[2].dns == tuple(one.ip for one in cluster.nodes)
