"""CronJobs: one Job for each time, and no more finished ones than are kept."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.batch.v1.cronjob import CronJob
from trireme.api.batch.v1.job_types import Job
from trireme.api.core import v1 as core
from trireme.controllers.workloads.job import plan as jobs

LABELS = {"app": "tick"}


def manifest(schedule: str = "1 0 * * *", ends: str = "Succeeded", **spec: Any) -> CronJob:
    """One minute after virtual time begins, and then each day."""
    template = harness.template(LABELS)
    template["metadata"]["annotations"] = {harness.ENDS: ends}
    template["spec"]["restartPolicy"] = "Never"
    return msgspec.convert(
        {
            "metadata": {"name": "tick", "namespace": "default"},
            "spec": {
                "schedule": schedule,
                "jobTemplate": {"spec": {"template": template}},
                **spec,
            },
        },
        CronJob,
    )


async def create(w: World) -> None:
    await w.client.create(manifest())


async def keep_none(w: World) -> None:
    change = {"spec": {"successfulJobsHistoryLimit": 0}}
    await w.client.patch(CronJob, "tick", "default", change)


def has(finished: int) -> Any:
    def done(w: World) -> bool:
        found = w.find(CronJob, "tick")
        made = w.list(Job)
        return (
            found is not None
            and len(made) == finished
            and all(map(jobs.is_finished, made))
            and found.status.lastScheduleTime is not None
            and found.status.lastSuccessfulTime is not None
            and not found.status.active
            and len(w.list(core.Pod)) == finished
        )

    return done


def holds(w: World) -> None:
    assert len(w.list(Job)) <= 1, [job.metadata.name for job in w.list(Job)]


CASE = Case(
    name="cronjob",
    controller="cronjob-controller",
    steps=(Step(act=create, done=has(1)), Step(act=keep_none, done=has(0))),
    holds=holds,
)
