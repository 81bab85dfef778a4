"""What every provider keeps to: the contract of ``trireme.cloud.contract`` as a test.

A provider's test calls ``check`` with a way to make it, so that a second one over the same machines
can be made, as after a restart; with Services, and with a Node for each machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from trireme.api.core.v1.node_types import Node, NodeSpec
from trireme.api.core.v1.service import Service
from trireme.cloud.contract import Cloud, Route
from trireme.machinery.meta import ObjectMeta

CLUSTER = "kubernetes"
MakeCloud = Callable[[], Cloud]
T = TypeVar("T")


async def check_instances(cloud: Cloud, node: Node) -> None:
    """``node`` has a machine that runs, and no providerID yet."""
    instances = _there(cloud.instances)
    assert await instances.instance_exists(node)
    assert not await instances.instance_shutdown(node)
    found = await instances.instance_metadata(node)
    assert found is not None
    assert found.provider_id.startswith(f"{cloud.name}://")
    named = Node(metadata=ObjectMeta(name="renamed"), spec=NodeSpec(providerID=found.provider_id))
    assert await instances.instance_metadata(named) == found, "its ID is what finds it"
    for stranger in (
        Node(metadata=ObjectMeta(name="stranger")),
        Node(
            metadata=ObjectMeta(name=node.metadata.name),
            spec=NodeSpec(providerID=f"{cloud.name}://no/such/machine"),
        ),
        Node(
            metadata=ObjectMeta(name=node.metadata.name),
            spec=NodeSpec(providerID=found.provider_id.replace(cloud.name, "other", 1)),
        ),
    ):
        assert not await instances.instance_exists(stranger), stranger
        assert not await instances.instance_shutdown(stranger)
        assert await instances.instance_metadata(stranger) is None


async def check_load_balancers(
    make: MakeCloud, services: Sequence[Service], nodes: Sequence[Node]
) -> None:
    """``services`` are two, none of which has a load balancer."""
    balancers = _there(make().load_balancers)
    one, other = services
    assert await balancers.get_load_balancer(CLUSTER, one) is None
    await balancers.ensure_load_balancer_deleted(CLUSTER, one)
    made = await balancers.ensure_load_balancer(CLUSTER, one, nodes)
    assert made.ingress and (made.ingress[0].ip or made.ingress[0].hostname)
    assert await balancers.get_load_balancer(CLUSTER, one) == made
    assert await balancers.ensure_load_balancer(CLUSTER, one, nodes) == made, "twice is once"
    beside = await balancers.ensure_load_balancer(CLUSTER, other, nodes)
    assert beside.ingress[0].ip != made.ingress[0].ip
    await balancers.update_load_balancer(CLUSTER, one, nodes[:1])
    await balancers.update_load_balancer(CLUSTER, one, ())
    again = _there(make().load_balancers)
    assert await again.get_load_balancer(CLUSTER, one) == made, "it outlives its process"
    assert await again.ensure_load_balancer(CLUSTER, one, nodes) == made
    for _ in range(2):
        await again.ensure_load_balancer_deleted(CLUSTER, one)
    assert await again.get_load_balancer(CLUSTER, one) is None
    assert await again.get_load_balancer(CLUSTER, other) == beside
    await again.ensure_load_balancer_deleted(CLUSTER, other)


async def check_routes(make: MakeCloud, target: str, cidr: str) -> None:
    """There is no route to ``cidr`` yet."""
    routes = _there(make().routes)
    await routes.create_route(CLUSTER, "uid", Route(destination_cidr=cidr, target_node=target))
    again = _there(make().routes)
    (found,) = [r for r in await again.list_routes(CLUSTER) if r.destination_cidr == cidr]
    assert found.target_node == target
    await again.delete_route(CLUSTER, found)
    await again.delete_route(CLUSTER, found)
    assert cidr not in [r.destination_cidr for r in await again.list_routes(CLUSTER)]


async def check_node_groups(make: MakeCloud, settled: Callable[[], object]) -> None:
    """The first group has room for one machine at least. ``settled`` is awaited after changes."""
    groups = _there(make().node_groups)
    (before, *_) = await groups.list_node_groups()
    assert before.min_size <= before.target_size < before.max_size
    room = before.max_size - before.target_size
    for wrong in (0, -1, room + 1):
        with pytest.raises(ValueError):
            await groups.increase_size(before.id, wrong)
    await groups.increase_size(before.id, 1)
    (after, *_) = await _there(make().node_groups).list_node_groups()
    assert after.target_size == before.target_size + 1
    known = {one.provider_id for one in before.instances}
    await _maybe(settled)
    (grown, *_) = await groups.list_node_groups()
    (new,) = [one for one in grown.instances if one.provider_id not in known]
    assert not new.error
    with pytest.raises(ValueError):
        await groups.delete_instances("no-such-group", [new.provider_id])
    await groups.delete_instances(before.id, [new.provider_id])
    await _maybe(settled)
    (last, *_) = await _there(make().node_groups).list_node_groups()
    assert last.target_size == before.target_size
    assert new.provider_id not in {one.provider_id for one in last.instances}


async def _maybe(settled: Callable[[], object]) -> None:
    result = settled()
    if hasattr(result, "__await__"):
        await result


def _there(part: T | None) -> T:
    assert part is not None
    return part
