"""Deployments: a roll-out stays within its surge and within what may be unavailable."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.domain import templates


def is_rolled_out(image: str, replicas: int) -> Any:
    def done(w: World) -> bool:
        found = w.find(Deployment, "web")
        images = [pod.spec.containers[0].image for pod in w.list(core.Pod)]
        return (
            found is not None
            and images == [image] * replicas
            and found.status.availableReplicas == found.status.replicas == replicas
            and found.status.updatedReplicas == replicas
            and found.status.observedGeneration == found.metadata.generation
        )

    return done


async def create(w: World) -> None:
    await w.client.create(harness.deployment())


async def update(w: World) -> None:
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "v2"}]}}}}
    await w.client.patch(Deployment, "web", "default", change, "strategic")


async def scale(w: World) -> None:
    await w.client.patch(Deployment, "web", "default", {"spec": {"replicas": 2}})


def holds(w: World) -> None:
    """The ReplicaSets are asked for no more than three and one in surge."""
    asked = sum(item.spec.replicas or 0 for item in w.list(ReplicaSet))
    assert asked <= 4, asked


async def collide(w: World) -> None:
    """Another's ReplicaSet has the name that the first template gives."""
    made = await w.client.create(harness.deployment())
    template = made.spec.template
    await w.client.delete(Deployment, "web", "default")
    await w.until(lambda: not w.list(ReplicaSet) and not w.list(core.Pod))
    labels = {"app": "other"}
    manifest = {
        "metadata": {"name": f"web-{templates.hash_of(template, None)}", "namespace": "default"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": harness.template(labels),
        },
    }
    await w.client.create(msgspec.convert(manifest, ReplicaSet))


CASE = Case(
    name="deployment",
    controller="deployment-controller",
    children=ReplicaSet,
    steps=(
        Step(act=create, done=is_rolled_out("v1", 3)),
        Step(act=update, done=is_rolled_out("v2", 3)),
        Step(act=scale, done=is_rolled_out("v2", 2)),
    ),
    holds=holds,
    collide=collide,
)
