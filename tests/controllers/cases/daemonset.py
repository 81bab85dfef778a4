"""DaemonSets: one pod on each node that fits, two where a surge is allowed, and never more."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.api.apps.v1.daemonset import DaemonSet
from trireme.api.core import v1 as core
from trireme.controllers.workloads.daemonset import compute_pods
from trireme.domain import owners, pods
from trireme.machinery import meta

LABELS = {"app": "agent"}
NODES = ("node-0", "node-1", "node-2")


def manifest(image: str = "v1", **spec: Any) -> DaemonSet:
    return msgspec.convert(
        {
            "metadata": {"name": "agent", "namespace": "default"},
            "spec": {
                "selector": {"matchLabels": LABELS},
                "template": harness.template(LABELS, image),
                **spec,
            },
        },
        DaemonSet,
    )


def create(**spec: Any) -> Any:
    async def act(w: World) -> None:
        for name in NODES[1:]:
            await w.add_node(name)
        await w.client.create(manifest(**spec))

    return act


def patch(spec: dict[str, Any]) -> Any:
    async def act(w: World) -> None:
        await w.client.patch(DaemonSet, "agent", "default", {"spec": spec}, "strategic")

    return act


def image(name: str) -> Any:
    return patch({"template": {"spec": {"containers": [{"name": "main", "image": name}]}}})


def runs(*nodes: str, image: str = "v1") -> Any:
    def done(w: World) -> bool:
        found = w.find(DaemonSet, "agent")
        there = w.list(core.Pod)
        ready = sorted(pod.spec.nodeName for pod in there if pods.is_ready(pod))
        count = len(nodes)
        return (
            found is not None
            and ready == sorted(nodes)
            and len(there) == count
            and {pod.spec.containers[0].image for pod in there} <= {image}
            and found.status.desiredNumberScheduled == count
            and found.status.numberAvailable == count
            and found.status.updatedNumberScheduled == count
            and not found.status.numberMisscheduled
            and found.status.observedGeneration == found.metadata.generation
        )

    return done


def at_most(per_node: int) -> Any:
    """Pods that the node knows nothing of yet are not counted: a creation may have had no
    answer."""

    def holds(w: World) -> None:
        running = [pod for pod in w.list(core.Pod) if pods.is_ready(pod) and pods.is_active(pod)]
        found = Counter(map(compute_pods.node_of, running))
        assert all(count <= per_node + 1 for count in found.values()), found

    return holds


async def taint(w: World) -> None:
    value = {"taints": [{"key": "out", "effect": "NoExecute"}]}
    await w.client.patch(core.Node, "node-2", "", {"spec": value})


async def clean(w: World) -> None:
    await w.client.patch(core.Node, "node-2", "", {"spec": {"taints": []}})


async def orphan(w: World) -> None:
    (pod, *_) = w.pods(**LABELS)
    await w.client.patch(
        core.Pod, pod.metadata.name, "default", {"metadata": {"ownerReferences": None}}
    )


def adopted(w: World) -> bool:
    owned = [pod for pod in w.pods(**LABELS) if owners.controller_of(pod.metadata) is not None]
    return runs(*NODES)(w) and len(owned) == 3


async def let_go(w: World) -> None:
    (pod, *_) = w.pods(**LABELS)
    change = {"metadata": {"labels": {"app": "other"}}}
    await w.client.patch(core.Pod, pod.metadata.name, "default", change)


def released(w: World) -> bool:
    others = w.pods(app="other")
    free = [pod for pod in others if owners.controller_of(pod.metadata) is None]
    return len(free) == 1 and len(w.pods(**LABELS)) == 3


async def collide(w: World) -> None:
    """Another's revision has the name that the first template gives."""
    made = await w.client.create(manifest())
    await w.until(lambda: w.list(ControllerRevision))
    (revision,) = w.list(ControllerRevision)
    await w.client.delete(DaemonSet, "agent", "default")
    await w.until(lambda: not w.list(ControllerRevision) and not w.list(core.Pod))
    other = ControllerRevision(
        metadata=meta.ObjectMeta(name=revision.metadata.name, namespace="default"),
        data={"a": made.metadata.name},
    )
    await w.client.create(other)


CASE = (
    Case(
        name="daemonset",
        controller="daemonset-controller",
        children=core.Pod,
        steps=(
            Step(act=create(), done=runs(*NODES)),
            Step(act=image("v2"), done=runs(*NODES, image="v2")),
            Step(act=taint, done=runs(*NODES[:2], image="v2")),
            Step(act=clean, done=runs(*NODES, image="v2")),
        ),
        holds=at_most(1),
        orphan=orphan,
        adopted=adopted,
        let_go=let_go,
        released=released,
        collide=collide,
    ),
    Case(
        name="surging-daemonset",
        controller="daemonset-controller",
        steps=(
            Step(
                act=create(updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
                done=runs(*NODES),
            ),
            Step(act=image("v2"), done=runs(*NODES, image="v2")),
        ),
        holds=at_most(2),
    ),
)
