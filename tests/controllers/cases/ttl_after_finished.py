"""Finished Jobs go when their time is over."""

from __future__ import annotations

from typing import Any

from tests.controllers.cases import job
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.batch.v1.job_types import Job
from trireme.api.core import v1 as core


def is_gone(w: World) -> Any:
    return not w.list(Job) and not w.list(core.Pod)


async def create(w: World) -> None:
    await w.client.create(job.manifest(completions=1, ttlSecondsAfterFinished=30))
    await w.until(lambda: w.list(Job))


CASE = Case(
    name="ttl-after-finished",
    controller="ttl-after-finished-controller",
    steps=(Step(act=create, done=is_gone),),
)
