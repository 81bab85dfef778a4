"""A ServiceCIDR becomes ready; deleted, it waits for the Service that has its address."""

from __future__ import annotations

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.api.networking.v1.servicecidr import ServiceCIDR, ServiceCIDRSpec
from trireme.controllers.network import servicecidrs
from trireme.machinery import meta


async def create(w: World) -> None:
    spec = ServiceCIDRSpec(cidrs=["10.200.0.0/28"])
    await w.client.create(ServiceCIDR(metadata=meta.ObjectMeta(name="new"), spec=spec))


def is_ready(w: World) -> bool:
    return len(w.list(ServiceCIDR)) == 2 and all(
        servicecidrs.FINALIZER in cidr.metadata.finalizers
        and [item.status for item in cidr.status.conditions] == ["True"]
        for cidr in w.list(ServiceCIDR)
    )


async def delete(w: World) -> None:
    ports = [core.ServicePort(port=80)]
    spec = core.ServiceSpec(clusterIP="10.200.0.3", ports=ports)
    place = meta.ObjectMeta(name="s", namespace="default")
    await w.client.create(core.Service(metadata=place, spec=spec))
    await w.client.delete(ServiceCIDR, "new")


def waits(w: World) -> bool:
    found = w.find(ServiceCIDR, "new", "")
    return found is not None and found.status.conditions[0].reason == "Terminating"


async def free(w: World) -> None:
    await w.client.delete(core.Service, "s", "default")


def is_gone(w: World) -> bool:
    return w.find(ServiceCIDR, "new", "") is None


CASE = Case(
    name="service-cidr",
    controller="service-cidr-controller",
    steps=(
        Step(act=create, done=is_ready),
        Step(act=delete, done=waits),
        Step(act=free, done=is_gone),
    ),
)
