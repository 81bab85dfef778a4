"""Jobs: every completion is counted once, and no pod runs that is not desired."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.batch.v1.job_types import Job
from trireme.api.core import v1 as core
from trireme.controllers.workloads.job import compute_indexes
from trireme.domain import owners, pods

LABELS = {"app": "work"}


def manifest(name: str = "work", ends: str = "Succeeded", **spec: Any) -> Job:
    template = harness.template(LABELS)
    template["metadata"]["annotations"] = {harness.ENDS: ends}
    template["spec"]["restartPolicy"] = "Never"
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"template": template, **spec},
        },
        Job,
    )


def create(**fields: Any) -> Any:
    async def act(w: World) -> None:
        await w.client.create(manifest(**fields))

    return act


def ended(kind: str, reason: str, **status: Any) -> Any:
    """The Job has the condition and the fields, and none of its pods waits for being counted."""

    def done(w: World) -> bool:
        found = w.find(Job, "work")
        if found is None:
            return False
        last = [c for c in found.status.conditions if c.type == kind and c.status == "True"]
        return (
            [c.reason for c in last] == [reason]
            and all(getattr(found.status, name) == value for name, value in status.items())
            and not found.status.active
            and not any(compute_indexes.is_tracked(pod) for pod in w.list(core.Pod))
        )

    return done


def at_most(active: int, completions: int) -> Any:
    """Never more active pods than the Job has places for, but for those whose creation had no
    answer: they are noticed and go."""

    def holds(w: World) -> None:
        found = w.find(Job, "work")
        if found is not None:
            assert found.status.succeeded <= completions, found.status
            assert len(found.status.completedIndexes or "") < 1000
        mine = [pod for pod in w.list(core.Pod) if owners.controller_of(pod.metadata) is not None]
        running = [pod for pod in mine if pods.is_active(pod)]
        assert len(running) <= 2 * active, [pod.metadata.name for pod in running]

    return holds


def has_active(count: int) -> Any:
    def done(w: World) -> bool:
        found = w.find(Job, "work")
        ready = [pod for pod in w.pods(**LABELS) if pods.is_ready(pod)]
        return (
            found is not None
            and len(ready) == len(w.list(core.Pod)) == count
            and found.status.active == found.status.ready == count
        )

    return done


def suspend(value: bool) -> Any:
    async def act(w: World) -> None:
        await w.client.patch(Job, "work", "default", {"spec": {"suspend": value}})

    return act


async def finish(w: World) -> None:
    w.end_as(lambda pod: "Succeeded")


async def let_go(w: World) -> None:
    (pod, *_) = w.pods(**LABELS)
    change = {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": None, "app": "x"}}}
    await w.client.patch(core.Pod, pod.metadata.name, "default", change)


def released(w: World) -> bool:
    others = w.pods(app="x")
    free = [pod for pod in others if owners.controller_of(pod.metadata) is None]
    return len(free) == 1 and not compute_indexes.is_tracked(free[0]) and len(w.pods(**LABELS)) == 2


CASE = (
    Case(
        name="job",
        controller="job-controller",
        steps=(
            Step(
                act=create(completions=3, parallelism=2),
                done=ended("Complete", "CompletionsReached", succeeded=3, failed=0),
            ),
        ),
        holds=at_most(2, 3),
    ),
    Case(
        name="indexed-job",
        controller="job-controller",
        steps=(
            Step(
                act=create(completions=3, parallelism=3, completionMode="Indexed"),
                done=ended(
                    "Complete", "CompletionsReached", succeeded=3, completedIndexes="0-2", failed=0
                ),
            ),
        ),
        holds=at_most(3, 3),
    ),
    Case(
        name="failing-job",
        controller="job-controller",
        steps=(
            Step(
                act=create(ends="Failed", completions=2, parallelism=1, backoffLimit=1),
                done=ended("Failed", "BackoffLimitExceeded", succeeded=0, failed=2),
            ),
        ),
        holds=at_most(1, 0),
    ),
    Case(
        name="suspended-job",
        controller="job-controller",
        children=core.Pod,
        steps=(
            Step(act=create(ends="", completions=2, parallelism=2), done=has_active(2)),
            Step(act=suspend(True), done=has_active(0)),
            Step(act=suspend(False), done=has_active(2)),
            Step(
                act=finish, done=ended("Complete", "CompletionsReached", succeeded=2, terminating=0)
            ),
        ),
        holds=at_most(2, 2),
        let_go=let_go,
        orphan=suspend(False),
        released=released,
    ),
)
