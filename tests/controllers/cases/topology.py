"""Endpoints with hints: each zone its share, as long as the Service asks for it."""

from __future__ import annotations

from collections import Counter

from tests.controllers import test_topology as topology
from tests.controllers.cases import daemonset
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.machinery import meta


async def create(w: World) -> None:
    for name, zone in (("n0", "a"), ("n1", "b")):
        await w.add_node(name, **{"topology.kubernetes.io/zone": zone})
    metadata = meta.ObjectMeta(name="web", namespace="default", annotations=topology.AUTO)
    spec = core.ServiceSpec(selector=daemonset.LABELS, ports=[core.ServicePort(port=80)])
    await w.client.create(core.Service(metadata=metadata, spec=spec))
    # One pod on each node, and so in each zone.
    await w.client.create(daemonset.manifest())


async def without(w: World) -> None:
    change = {"metadata": {"annotations": {"service.kubernetes.io/topology-mode": None}}}
    await w.client.patch(core.Service, "web", "default", change)


def hinted(w: World) -> Counter[str]:
    slices = [
        item
        for item in w.list(EndpointSlice)
        if item.metadata.labels.get("kubernetes.io/service-name") == "web"
    ]
    return Counter("".join(map(topology.hints, slices)))


def holds(w: World) -> None:
    """No pod is named twice."""
    addresses = [
        address
        for item in w.list(EndpointSlice)
        if item.metadata.labels.get("kubernetes.io/service-name") == "web"
        for endpoint in item.endpoints
        for address in endpoint.addresses
    ]
    assert len(addresses) == len(set(addresses)), addresses


CASE = Case(
    name="topology-hints",
    controller="endpointslice-controller",
    children=EndpointSlice,
    steps=(
        Step(act=create, done=lambda w: hinted(w) == {"a": 1, "b": 1}),
        Step(act=without, done=lambda w: hinted(w) == {"-": 2}),
    ),
    holds=holds,
    options={"plays": ""},
)
