"""ReplicaSets: so many pods, no more than that and those that are about to go."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.domain import owners, pods
from trireme.machinery import meta

LABELS = {"app": "web"}


def manifest(replicas: int) -> ReplicaSet:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": LABELS},
        "template": harness.template(LABELS),
    }
    metadata = {"name": "web", "namespace": "default"}
    return msgspec.convert({"metadata": metadata, "spec": spec}, ReplicaSet)


def scale(replicas: int) -> Any:
    async def act(w: World) -> None:
        change = {"spec": {"replicas": replicas}}
        await w.client.patch(ReplicaSet, "web", "default", change)

    return act


def has(replicas: int) -> Any:
    def done(w: World) -> bool:
        found = w.find(ReplicaSet, "web")
        ready = [pod for pod in w.pods(**LABELS) if pods.is_ready(pod)]
        return (
            found is not None
            and len(ready) == len(w.list(core.Pod)) == replicas
            and found.status.readyReplicas == found.status.replicas == replicas
            and found.status.observedGeneration == found.metadata.generation
        )

    return done


async def create(w: World) -> None:
    await w.client.create(manifest(3))


def bare(name: str) -> core.Pod:
    return core.Pod(
        metadata=meta.ObjectMeta(name=name, namespace="default", labels=LABELS),
        spec=core.PodSpec(containers=[core.Container(name="main", image="v1")]),
    )


async def orphan(w: World) -> None:
    """One pod goes, and one comes that nobody owns: it is taken, or is one too many."""
    (victim, *_) = w.pods(**LABELS)
    await w.client.create(bare("stray"))
    await w.client.delete(core.Pod, victim.metadata.name, "default")
    await w.until(lambda: w.find(core.Pod, "stray"))


def adopted(w: World) -> bool:
    owned = [pod for pod in w.pods(**LABELS) if owners.controller_of(pod.metadata) is not None]
    return has(3)(w) and len(owned) == 3


async def let_go(w: World) -> None:
    (pod, *_) = w.pods(**LABELS)
    change = {"metadata": {"labels": {"app": "other"}}}
    await w.client.patch(core.Pod, pod.metadata.name, "default", change)


def released(w: World) -> bool:
    (*others,) = w.pods(app="other")
    return (
        len(others) == 1
        and owners.controller_of(others[0].metadata) is None
        and len(w.pods(**LABELS)) == 3
    )


CASE = Case(
    name="replicaset",
    controller="replicaset-controller",
    children=core.Pod,
    steps=(
        Step(act=create, done=has(3)),
        Step(act=scale(5), done=has(5)),
        Step(act=scale(2), done=has(2)),
        Step(act=scale(3), done=has(3)),
    ),
    orphan=orphan,
    adopted=adopted,
    let_go=let_go,
    released=released,
)
