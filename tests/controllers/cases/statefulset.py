"""StatefulSets: no two pods of a name, no pod before its turn, each with its own claim."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.api.apps.v1.statefulset_types import StatefulSet
from trireme.api.core import v1 as core
from trireme.controllers.workloads.statefulset import compute_pods
from trireme.domain import owners, pods
from trireme.machinery import meta

LABELS = {"app": "db"}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def manifest(replicas: int = 3, image: str = "v1", **spec: Any) -> StatefulSet:
    return msgspec.convert(
        {
            "metadata": {"name": "db", "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "serviceName": "db",
                "selector": {"matchLabels": LABELS},
                "template": harness.template(LABELS, image),
                "volumeClaimTemplates": [CLAIM],
                **spec,
            },
        },
        StatefulSet,
    )


def create(**fields: Any) -> Any:
    async def act(w: World) -> None:
        await w.client.create(manifest(**fields))

    return act


def patch(spec: dict[str, Any]) -> Any:
    async def act(w: World) -> None:
        await w.client.patch(StatefulSet, "db", "default", {"spec": spec}, "strategic")

    return act


def image(name: str) -> Any:
    return patch({"template": {"spec": {"containers": [{"name": "main", "image": name}]}}})


def has(replicas: int, image: str = "v1", claims: int | None = None) -> Any:
    def done(w: World) -> bool:
        found = w.find(StatefulSet, "db")
        there = w.list(core.Pod)
        ready = [pod for pod in there if pods.is_ready(pod)]
        return (
            found is not None
            and [pod.metadata.name for pod in there] == [f"db-{n}" for n in range(replicas)]
            and len(ready) == replicas
            and {pod.spec.containers[0].image for pod in there} <= {image}
            and found.status.availableReplicas == found.status.replicas == replicas
            and found.status.updatedReplicas == replicas
            and found.status.currentRevision == found.status.updateRevision
            and found.status.observedGeneration == found.metadata.generation
            and (claims is None or len(w.list(core.PersistentVolumeClaim)) == claims)
        )

    return done


def in_order(w: World) -> None:
    """No pod without all that come before it, but for one that is on its way back."""
    numbers = sorted(map(compute_pods.ordinal, w.list(core.Pod)))
    if numbers:
        assert len(numbers) >= numbers[-1], numbers
    away = [pod for pod in w.list(core.Pod) if pod.metadata.deletionTimestamp is not None]
    assert len(away) <= 1, [pod.metadata.name for pod in away]


async def orphan(w: World) -> None:
    """A pod loses its owner, and keeps its labels."""
    references: Any = {"metadata": {"ownerReferences": None}}
    await w.client.patch(core.Pod, "db-1", "default", references)


def adopted(w: World) -> bool:
    owned = [pod for pod in w.list(core.Pod) if owners.controller_of(pod.metadata) is not None]
    return has(3)(w) and len(owned) == 3


async def collide(w: World) -> None:
    """A pod and a revision of others have names that are needed; the pod ends in a while."""
    labels = {"app": "other"}
    pod = core.Pod(
        metadata=meta.ObjectMeta(name="db-0", namespace="default", labels=labels),
        spec=core.PodSpec(
            containers=[core.Container(name="main", image="v1")], restartPolicy="Never"
        ),
    )
    await w.client.create(pod)
    made = await w.client.create(manifest())
    await w.until(lambda: w.list(ControllerRevision))
    (revision,) = w.list(ControllerRevision)
    await w.client.delete(StatefulSet, "db", "default")
    await w.until(lambda: not w.list(StatefulSet) and not w.list(ControllerRevision))
    name = revision.metadata.name
    other = ControllerRevision(
        metadata=meta.ObjectMeta(name=name, namespace="default"), data={"a": made.metadata.name}
    )
    await w.client.create(other)
    await w.client.delete(core.Pod, "db-0", "default")


STEPS = (
    Step(act=create(), done=has(3, claims=3)),
    Step(act=image("v2"), done=has(3, "v2")),
    Step(act=patch({"replicas": 1}), done=has(1, "v2", claims=3)),
)
DELETES = {
    "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Delete"}
}
CASE = (
    Case(
        name="statefulset",
        controller="statefulset-controller",
        steps=STEPS,
        holds=in_order,
        orphan=orphan,
        adopted=adopted,
        collide=collide,
    ),
    Case(
        name="parallel-statefulset",
        controller="statefulset-controller",
        children=core.Pod,
        steps=(
            Step(act=create(podManagementPolicy="Parallel", **DELETES), done=has(3, claims=3)),
            Step(act=image("v2"), done=has(3, "v2")),
            Step(act=patch({"replicas": 1}), done=has(1, "v2", claims=1)),
            Step(act=patch({"replicas": 2}), done=has(2, "v2", claims=2)),
        ),
    ),
)
