"""Stories of a CronJob: nights pass in a moment."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.flows import screen
from trireme.api.batch import v1 as batch
from trireme.cluster import inprocess
from trireme.controllers.workloads.cronjob.plan import SCHEDULED
from trireme.testing import virtual
from trireme.testing.fake_cri import Behaviour


def cron_job(schedule: str, **spec: Any) -> batch.CronJob:
    container = {"name": "main", "image": "tick:v1"}
    template = {
        "metadata": {"labels": {"app": "tick"}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
    return msgspec.convert(
        {
            "metadata": {"name": "tick", "namespace": "default"},
            "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}, **spec},
        },
        batch.CronJob,
    )


def short(_container: Any, _sandbox: Any) -> Behaviour:
    return Behaviour(run_seconds=30.0)


def jobs(s: screen.Screen) -> list[batch.Job]:
    return s.list(batch.Job)


@virtual.test(seed=1)
async def test_every_night_at_the_same_time_of_the_zone(env):
    """Without nodes and other controllers, which have much to do in the meantime."""
    async with harness.world(env, plays="", controllers=("cronjob-controller",)) as w:
        found = cron_job("30 3 * * *", timeZone="Europe/Berlin")
        found.spec.jobTemplate.spec.suspend = True
        await w.client.create(found)
        await env.clock.sleep(3 * 86400)
        made = [job.metadata.annotations[SCHEDULED] for job in w.list(batch.Job)]
        assert made == [f"2030-01-0{day}T03:30:00+01:00" for day in range(1, 4)]
        status = w.get(batch.CronJob, "tick").status
        assert status.lastScheduleTime == "2030-01-03T02:30:00Z"
        assert len(status.active) == 3


@virtual.test(seed=2)
async def test_what_may_run_at_the_same_time(env):
    def behave(_container, _sandbox):
        return Behaviour(run_seconds=150.0)

    async with screen.watched(env, nodes=1, behave=behave) as s:
        await s.client.create(cron_job("* * * * *", concurrencyPolicy="Forbid"))
        for _ in range(60):
            await s.cluster.advance(10)
            running = [job for job in jobs(s) if job.status.active]
            assert len(running) <= 1
        assert "JobAlreadyActive" in s.reasons("tick")
        await s.client.patch(
            batch.CronJob, "tick", "default", {"spec": {"concurrencyPolicy": "Replace"}}
        )
        names = set()
        for _ in range(60):
            await s.cluster.advance(10)
            running = [job for job in jobs(s) if job.status.active]
            names |= {job.metadata.name for job in running}
            assert len(running) <= 1
        assert len(names) >= 9
        await s.client.patch(
            batch.CronJob, "tick", "default", {"spec": {"concurrencyPolicy": "Allow"}}
        )
        await s.until(lambda: len([job for job in jobs(s) if job.status.active]) == 3, 300)


@virtual.test(seed=3)
async def test_controllers_that_were_away_start_what_was_missed_once(env):
    async with screen.watched(env, nodes=1, behave=short) as s:
        await s.client.create(cron_job("*/10 * * * *"))
        await s.cluster.advance(60)
        await s.cluster.stop("controllers")
        await s.cluster.advance(3600)
        assert not jobs(s)
        await inprocess.start_controllers(s.cluster)
        await s.until(lambda: len(jobs(s)) == 1, 60)
        await s.cluster.advance(60)
        assert len(jobs(s)) == 1
        assert s.find(batch.CronJob, "tick").status.lastScheduleTime == "2030-01-01T01:00:00Z"


@virtual.test(seed=4)
async def test_suspended_and_deleted_with_its_jobs(env):
    async with screen.watched(env, nodes=1, behave=short) as s:
        await s.client.create(cron_job("* * * * *", suspend=True))
        await s.cluster.advance(300)
        assert not jobs(s)
        await s.client.patch(batch.CronJob, "tick", "default", {"spec": {"suspend": False}})
        await s.until(lambda: len(jobs(s)) == 2, 200)
        await s.client.delete(batch.CronJob, "tick", "default")
        await s.until(lambda: not jobs(s) and not s.pods("tick"), 120)
