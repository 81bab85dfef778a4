"""Autoscalers: to what the metric asks for, within the bounds."""

from __future__ import annotations

from typing import Any

from tests.controllers import test_autoscaling as scaling
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.autoscaling.v2.horizontalpodautoscaler import HorizontalPodAutoscaler

# Outside of the cluster 40 of something wait, all the time.
WAITING = {"/apis/external.metrics.k8s.io/v1beta1": {"items": [{"value": "40"}]}}


def metric(per_pod: int) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": str(per_pod)}
    return {"type": "External", "external": {"metric": {"name": "waiting"}, "target": target}}


async def create(w: World) -> None:
    await w.client.create(scaling.web(1))
    await w.client.create(scaling.autoscaler(metric(20), maxReplicas=5))


def each(per_pod: int) -> Any:
    async def act(w: World) -> None:
        change = {"spec": {"metrics": [metric(per_pod)]}}
        await w.client.patch(HorizontalPodAutoscaler, "web", "default", change)

    return act


def runs(count: int) -> Any:
    def done(w: World) -> bool:
        found, scaled = w.find(HorizontalPodAutoscaler, "web"), w.find(Deployment, "web")
        return (
            found is not None
            and scaled is not None
            and scaled.status.readyReplicas == count
            and found.status.currentReplicas == found.status.desiredReplicas == count
        )

    return done


def holds(w: World) -> None:
    assert len(w.pods(app="web")) <= 5 + 2


CASE = Case(
    name="autoscaler",
    controller="horizontal-pod-autoscaler-controller",
    steps=(
        Step(act=create, done=runs(2)),
        Step(act=each(5), done=runs(5)),
        Step(act=each(40), done=runs(1), seconds=900.0),
    ),
    holds=holds,
    options={"through": lambda inner: scaling.Measured(inner, WAITING)},
)
