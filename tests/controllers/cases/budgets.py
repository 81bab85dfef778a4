"""Disruption budgets: as many evictions as they allow, whoever evicts."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.controllers import harness
from tests.controllers import test_disruption as budgets
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.domain import pods
from trireme.machinery import errors


async def create(w: World) -> None:
    await w.client.create(harness.deployment(replicas=3))
    await w.until(lambda: len([p for p in w.pods(app="web") if pods.is_ready(p)]) == 3, 3000.0)
    await w.client.create(budgets.budget(minAvailable=2))


async def evict_all(w: World) -> None:
    """Somebody drains the node; the budget says when no more may go."""
    for pod in w.pods(app="web"):
        with contextlib.suppress(errors.ApiError):
            await budgets.evict(w, pod.metadata.name)


async def shrink(w: World) -> None:
    await w.client.patch(Deployment, "web", "default", {"spec": {"replicas": 1}})


def says(healthy: int, allowed: int) -> Any:
    def done(w: World) -> bool:
        found = w.find(PodDisruptionBudget, "b")
        return (
            found is not None
            and found.status.observedGeneration == found.metadata.generation
            and (found.status.currentHealthy, found.status.disruptionsAllowed) == (healthy, allowed)
            and not found.status.disruptedPods
            and len(w.pods(app="web")) == healthy
        )

    return done


def holds(w: World) -> None:
    """While there are to be three pods, two are there."""
    found, budget = w.find(Deployment, "web"), w.find(PodDisruptionBudget, "b")
    if found is None or budget is None or found.spec.replicas != 3:
        return
    ready = [pod for pod in w.pods(app="web") if pods.is_ready(pod)]
    assert len(ready) >= 2, [pod.metadata.name for pod in ready]


CASE = Case(
    name="disruption",
    controller="disruption-controller",
    steps=(
        Step(act=create, done=says(3, 1)),
        Step(act=evict_all, done=says(3, 1), seconds=300.0),
        Step(act=shrink, done=says(1, 0)),
    ),
    holds=holds,
)
