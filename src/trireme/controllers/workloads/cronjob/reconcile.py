"""CronJobs: start Jobs at the times of a schedule, and keep some of those that finished.

In: CronJobs and Jobs. Out: Jobs created and deleted; status; events. Decisions are in ``plan``. Run
by ``manager``. A schedule without a time zone is in UTC. Upstream: pkg/controller/cronjob;
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, tzinfo

import msgspec

from trireme.api.batch.v1.cronjob import CronJob, CronJobStatus
from trireme.api.batch.v1.job_types import Job
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.workloads.cronjob import plan
from trireme.controllers.workloads.owned_pods import by_controller
from trireme.domain import owners
from trireme.kit import metrics
from trireme.machinery import errors, time
from trireme.machinery.meta import DeleteOptions
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key
from trireme.runtime.written import WAIT, Written

_ZONE = re.compile(r"(?:CRON_)?TZ=(\S*)")


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return CronJobs(context).loop


class CronJobs:
    """The caches and the executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._written = Written(context.env.clock)
        self._skew = metrics.histogram(
            context.env.metrics,
            "cronjob_controller_job_creation_skew_duration_seconds",
            "How long after its time a Job was created",
            metrics.exponential(1, 2, 10),
        )
        self._cron_jobs = context.informers.of(CronJob)
        self._jobs = context.informers.of(Job)
        self._jobs.add_index(by_controller)
        self.loop = Controller(
            "cronjob",
            self.reconcile,
            context.env,
            triggers=[
                (self._cron_jobs, triggers.own()),
                (self._jobs, triggers.controller("CronJob", "batch")),
            ],
            workers=context.settings.workers.cronjob,
        )

    async def reconcile(self, key: Key) -> After | None:
        """One step for one CronJob."""
        found = self._cron_jobs.get(*key)
        if found is None:
            self._written.forget(key)
            return None
        if not self._written.visible(key):
            return WAIT
        owned = self._jobs.by_index(by_controller, (key.namespace, found.metadata.uid))
        observed = plan.observe(found, owned)
        for job in observed.expired:
            await self._expire(found, observed, job)
        await self._ask(found, observed)
        decision = plan.decide(found, observed.status, _zone(found), self._clock.now())
        for event in (*observed.events, *decision.events):
            self._events.event(found, *event)
        try:
            if decision.start is not None:
                await self._start(found, observed.status, decision, decision.start)
        finally:
            await self._report(found, observed.status)
        return None if decision.revisit is None else After(decision.revisit)

    async def _ask(self, found: CronJob, observed: plan.Observed) -> None:
        """Ask the server where the cache and the status differ."""
        for reference in observed.missing:
            try:
                await self._client.get(Job, reference.name, found.metadata.namespace)
            except errors.ApiError as error:
                if not errors.is_not_found(error):
                    raise
                plan.forget(observed, reference)
        if not observed.unexpected:
            return
        fresh = await self._client.get(CronJob, found.metadata.name, found.metadata.namespace)
        active = {item.uid for item in fresh.status.active}
        for job in observed.unexpected:
            if job.metadata.uid not in active:
                name = job.metadata.name
                message = f"Saw a job that the controller did not create or forgot: {name}"
                self._events.event(found, recorder.WARNING, "UnexpectedJob", message)

    async def _expire(self, found: CronJob, observed: plan.Observed, job: Job) -> None:
        try:
            await self._delete(found, job)
        except errors.ApiError:
            # It was said, and is tried again the next time.
            return
        plan.removed(observed.status, job.metadata.uid)

    async def _delete(self, found: CronJob, job: Job) -> None:
        metadata = job.metadata
        options = DeleteOptions(propagationPolicy="Background")
        try:
            await self._client.delete(Job, metadata.name, metadata.namespace, options)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                message = f"Deleted job: {error}"
                self._events.event(found, recorder.WARNING, "FailedDelete", message)
                raise
        self._written.deleted(keys.of(found.metadata), self._jobs, job)
        message = f"Deleted job {metadata.name}"
        self._events.event(found, recorder.NORMAL, "SuccessfulDelete", message)

    async def _start(
        self, found: CronJob, status: CronJobStatus, decision: plan.Decision, job: Job
    ) -> None:
        """Create the Job, after those that it replaces are deleted."""
        for reference in decision.replace:
            try:
                old = await self._client.get(Job, reference.name, found.metadata.namespace)
            except errors.ApiError as error:
                message = f"Get job: {error}"
                self._events.event(found, recorder.WARNING, "FailedGet", message)
                raise
            await self._delete(found, old)
            plan.removed(status, reference.uid)
        made = await self._create(found, job, decision.scheduled)
        if made is None or any(item.uid == made.metadata.uid for item in status.active):
            return
        status.active = [*status.active, recorder.reference(made)]
        status.lastScheduleTime = time.format(decision.scheduled)

    async def _create(self, found: CronJob, job: Job, scheduled: float) -> Job | None:
        """The Job, also where it is there already; None for one of another owner, which keeps the
        status itself."""
        metadata = job.metadata
        try:
            made = await self._client.create(job)
        except errors.ApiError as error:
            if errors.is_already_exists(error):
                there = await self._client.get(Job, metadata.name, metadata.namespace)
                return there if owners.controls(found, there.metadata) else None
            if not errors.is_namespace_terminating(error):
                message = f"Error creating job: {error}"
                self._events.event(found, recorder.WARNING, "FailedCreate", message)
            raise
        self._written.wrote(keys.of(found.metadata), self._jobs, made)
        created = made.metadata.creationTimestamp
        self._skew.observe(time.parse(created) - scheduled if created else 0.0)
        message = f"Created job {made.metadata.name}"
        self._events.event(found, recorder.NORMAL, "SuccessfulCreate", message)
        return made

    async def _report(self, found: CronJob, status: CronJobStatus) -> None:
        if status == found.status:
            return
        changed = msgspec.structs.replace(found, status=status)
        try:
            stored = await self._client.update(changed, subresource="status")
        except errors.ApiError as error:
            # It went in the meantime; nobody reads its status.
            if not errors.is_not_found(error):
                raise
        else:
            self._written.wrote(keys.of(found.metadata), self._cron_jobs, stored)


def _zone(found: CronJob) -> tzinfo | None:
    """The zone of the schedule; None for one that is unknown."""
    within = _ZONE.match(found.spec.schedule)
    name = within[1] if within is not None else found.spec.timeZone
    if name in (None, "", "UTC"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None


CONTROLLER = Definition("cronjob-controller", make)
