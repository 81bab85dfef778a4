"""Load balancers of Services: one for each that wants one, none that nobody wants."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core.v1.service import Service
from trireme.cloud.service.plan_service import FINALIZER
from trireme.testing.memory_cloud import MemoryCloud


def manifest(name: str, **spec: Any) -> Service:
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    body = {"type": "LoadBalancer", "ports": ports, "selector": {"app": name}, **spec}
    metadata = {"name": name, "namespace": "default"}
    return msgspec.convert({"metadata": metadata, "spec": body}, Service)


def cloud() -> MemoryCloud:
    made = MemoryCloud()
    for name in ("node-0", "node-9"):
        made.add_machine(name)
    return made


async def create(w: World) -> None:
    await w.client.create(manifest("web"))
    await w.client.create(manifest("other", loadBalancerClass="example.com/other"))


def is_balanced(w: World, *nodes: str) -> bool:
    service = w.find(Service, "web")
    made = w.cloud.balancers.get(service.metadata.uid) if service is not None else None
    return (
        made is not None
        and made.nodes == list(nodes)
        and [item.ip for item in service.status.loadBalancer.ingress] == [made.address]
        and FINALIZER in service.metadata.finalizers
    )


async def add_node(w: World) -> None:
    await w.node("node-9")


async def make_internal(w: World) -> None:
    await w.client.patch(Service, "web", "default", {"spec": {"type": "ClusterIP"}})


def is_internal(w: World) -> bool:
    service = w.find(Service, "web")
    return (
        not w.cloud.balancers
        and not service.status.loadBalancer.ingress
        and FINALIZER not in service.metadata.finalizers
    )


async def make_external(w: World) -> None:
    await w.client.patch(Service, "web", "default", {"spec": {"type": "LoadBalancer"}})


async def delete(w: World) -> None:
    await w.client.delete(Service, "web", "default")


def holds(w: World) -> None:
    """Nobody's load balancer is left, and the other class's Service has none."""
    uids = {item.metadata.uid: item.metadata.name for item in w.list(Service)}
    assert "other" not in {uids.get(uid) for uid in w.cloud.balancers}
    service = w.find(Service, "web")
    if service is None and "web" not in uids.values():
        assert not w.cloud.balancers


CASE = Case(
    name="service-lb",
    controller="service-lb-controller",
    steps=(
        Step(act=create, done=lambda w: is_balanced(w, "node-0"), seconds=30.0),
        Step(act=add_node, done=lambda w: is_balanced(w, "node-0", "node-9"), seconds=30.0),
        Step(act=make_internal, done=is_internal, seconds=30.0),
        Step(act=make_external, done=lambda w: is_balanced(w, "node-0", "node-9"), seconds=30.0),
        Step(act=delete, done=lambda w: w.find(Service, "web") is None, seconds=30.0),
    ),
    holds=holds,
    options={"cloud": cloud},
)
