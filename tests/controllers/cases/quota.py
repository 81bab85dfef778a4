"""Quotas: what is used is what is there, and never more than is allowed."""

from __future__ import annotations

from typing import Any

from tests.controllers import test_resourcequota as quotas
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core


async def create(w: World) -> None:
    await w.client.create(quotas.pod("first"))
    await w.client.create(quotas.quota(pods="2", limits_cpu="3"))


async def fill(w: World) -> None:
    await w.client.create(quotas.pod("second"))


async def empty(w: World) -> None:
    for pod in w.list(core.Pod, "default"):
        await w.client.delete(core.Pod, pod.metadata.name, "default")


def used(count: int) -> Any:
    def done(w: World) -> bool:
        found = w.find(core.ResourceQuota, "q")
        amounts = {"pods": str(count), "limits.cpu": str(count)}
        return (
            found is not None
            and found.status.hard == {"pods": "2", "limits.cpu": "3"}
            and found.status.used == amounts
            and len(w.list(core.Pod)) == count
        )

    return done


def holds(w: World) -> None:
    assert len([p for p in w.list(core.Pod) if p.status.phase != "Failed"]) <= 2


CASE = Case(
    name="quota",
    controller="resourcequota-controller",
    steps=(
        Step(act=create, done=used(1)),
        Step(act=fill, done=used(2)),
        Step(act=empty, done=used(0), seconds=400.0),
    ),
    holds=holds,
)
