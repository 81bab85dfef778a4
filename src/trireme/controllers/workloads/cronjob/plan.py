"""What a CronJob needs next: the Jobs that go, the Job that starts, its status. Pure.

In: the CronJob, its Jobs, its time zone, the time. Out: an ``Observed`` (what became of the Jobs
that it had), then a ``Decision`` (whether one starts now, and when to look again). Between the two
``reconcile`` asks the server for Jobs that the cache lacks. Upstream: pkg/controller/cronjob;
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from trireme.api.batch.v1.cronjob import CronJob, CronJobStatus
from trireme.api.batch.v1.job_types import Job
from trireme.api.core.v1.references import ObjectReference
from trireme.controllers.workloads.cronjob import compute_times
from trireme.controllers.workloads.job import plan as jobs
from trireme.domain import owners
from trireme.machinery import cron, time
from trireme.machinery.meta import ObjectMeta

NORMAL, WARNING = "Normal", "Warning"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# Clocks may differ by so much.
_PADDING = 0.1
Event = tuple[str, str, str]


class Observed(msgspec.Struct):
    """``status`` as the Jobs have it; ``expired`` Jobs are no longer kept; ``missing`` are named in
    the status and not in the cache; ``unexpected`` the other way round."""

    status: CronJobStatus
    events: list[Event]
    expired: list[Job]
    missing: list[ObjectReference]
    unexpected: list[Job]


class Decision(msgspec.Struct, frozen=True):
    """``start`` is the Job to be created for the time ``scheduled``, once those to ``replace`` are
    deleted. ``revisit``: seconds until the next time; None for a schedule that needs a change."""

    events: list[Event]
    revisit: float | None = None
    start: Job | None = None
    scheduled: float = 0.0
    replace: list[ObjectReference] = []


def observe(cron_job: CronJob, owned: Sequence[Job]) -> Observed:
    """What became of the Jobs."""
    status = msgspec.structs.replace(cron_job.status, active=list(cron_job.status.active))
    found = Observed(status, [], _expired(cron_job, owned), [], [])
    active = {item.uid for item in status.active}
    for job in owned:
        ended = jobs.finished_condition(job)
        if ended is None:
            if job.metadata.uid not in active:
                found.unexpected.append(job)
            continue
        if job.metadata.uid in active:
            _remove(status, job.metadata.uid)
            message = f"Saw completed job: {job.metadata.name}, condition: {ended.type}"
            found.events.append((NORMAL, "SawCompletedJob", message))
        if ended.type == jobs.COMPLETE and job.status.completionTime:
            status.lastSuccessfulTime = max(
                status.lastSuccessfulTime or "", job.status.completionTime
            )
    there = {job.metadata.uid for job in owned}
    found.missing = [item for item in status.active if item.uid not in there]
    return found


def forget(observed: Observed, reference: ObjectReference) -> None:
    """A Job of the status is gone for good."""
    _remove(observed.status, reference.uid)
    message = f"Active job went missing: {reference.name}"
    observed.events.append((NORMAL, "MissingJob", message))


def removed(status: CronJobStatus, uid: str) -> None:
    """A Job was deleted."""
    _remove(status, uid)


def _remove(status: CronJobStatus, uid: str) -> None:
    status.active = [item for item in status.active if item.uid != uid]


def _expired(cron_job: CronJob, owned: Iterable[Job]) -> list[Job]:
    """The oldest finished Jobs, so that of each kind as many are left as are kept."""
    finished: dict[str, list[Job]] = {jobs.COMPLETE: [], jobs.FAILED: []}
    for job in sorted(owned, key=_age):
        ended = jobs.finished_condition(job)
        if ended is not None and job.metadata.deletionTimestamp is None:
            finished[ended.type].append(job)
    limits = (
        (jobs.COMPLETE, cron_job.spec.successfulJobsHistoryLimit),
        (jobs.FAILED, cron_job.spec.failedJobsHistoryLimit),
    )
    return [
        job
        for kind, limit in limits
        if limit is not None
        for job in finished[kind][: max(0, len(finished[kind]) - limit)]
    ]


def _age(job: Job) -> tuple[bool, str, str]:
    start = job.status.startTime
    return start is None, start or "", job.metadata.name


def decide(cron_job: CronJob, status: CronJobStatus, zone: tzinfo | None, now: float) -> Decision:
    """Whether a Job starts now. ``zone`` is that of the schedule; None for one that is unknown."""
    spec, events = cron_job.spec, list[Event]()
    if cron_job.metadata.deletionTimestamp is not None:
        return Decision([])
    if zone is None and spec.timeZone is not None and "TZ" not in spec.schedule:
        message = f'invalid timeZone: "{spec.timeZone}": unknown time zone {spec.timeZone}'
        return Decision([(WARNING, "UnknownTimeZone", message)])
    if spec.suspend:
        return Decision([])
    if "TZ" in spec.schedule:
        message = (
            f'CRON_TZ or TZ used in schedule "{spec.schedule}" is not officially supported, see '
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
        events.append((WARNING, "UnsupportedSchedule", message))
    try:
        if zone is None:
            raise ValueError(f"provided bad location in {spec.schedule}")
        schedule = cron.parse(spec.schedule)
    except ValueError as error:
        message = f'unparseable schedule: "{spec.schedule}" : {error}'
        return Decision([*events, (WARNING, "UnparseableSchedule", message)])
    return _decide(cron_job, status, _Clock(schedule, zone, now), events)


class _Clock(msgspec.Struct, frozen=True):
    """The schedule in its zone, now."""

    schedule: Any
    zone: Any
    now: float

    def missed(self, since: float, deadline: float | None) -> compute_times.Missed:
        return compute_times.missed(self.schedule, self.zone, since, self.now, deadline)

    def until_next(self, since: float) -> float | None:
        """Seconds until the schedule fires after what was missed ``since``."""
        try:
            known = self.missed(since, None)
        except ValueError:
            return None
        start = known.latest
        if start is None:
            start = self.now if known.number else known.earliest
        fires = compute_times.following(self.schedule, self.zone, start)
        return None if fires is None else fires + _PADDING - self.now


def _decide(
    cron_job: CronJob, status: CronJobStatus, clock: _Clock, events: list[Event]
) -> Decision:
    spec, since = cron_job.spec, _since(cron_job, status)
    deadline = spec.startingDeadlineSeconds
    try:
        missed = clock.missed(since, None if deadline is None else float(deadline))
    except ValueError as error:
        message = f"invalid schedule: {spec.schedule} : {error}"
        return Decision([*events, (WARNING, "InvalidSchedule", message)])
    scheduled, revisit = missed.latest, clock.until_next(since)
    if scheduled is None:
        return Decision(events, revisit)
    if missed.number > compute_times.MANY:
        message = (
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check "
            "clock skew"
        )
        events.append((WARNING, "TooManyMissedTimes", message))
    if deadline is not None and scheduled + deadline < clock.now:
        moment = datetime.fromtimestamp(scheduled, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
        message = f"Missed scheduled time to start a job: {moment}"
        return Decision([*events, (WARNING, "MissSchedule", message)], revisit)
    name, last = job_name(cron_job, scheduled), status.lastScheduleTime
    if any(item.name == name for item in status.active) or last == time.format(scheduled):
        return Decision(events, revisit)
    if spec.concurrencyPolicy == "Forbid" and status.active:
        message = (
            "Not starting job because prior execution is running and concurrency policy is Forbid"
        )
        return Decision([*events, (NORMAL, "JobAlreadyActive", message)], revisit)
    return Decision(
        events,
        clock.until_next(scheduled),
        made(cron_job, scheduled, clock.zone),
        scheduled,
        status.active if spec.concurrencyPolicy == "Replace" else [],
    )


def _since(cron_job: CronJob, status: CronJobStatus) -> float:
    text = status.lastScheduleTime or cron_job.metadata.creationTimestamp
    return time.parse(text) if text else 0.0


def job_name(cron_job: CronJob, scheduled: float) -> str:
    """The name of the Job of a time: no time has two."""
    return f"{cron_job.metadata.name}-{int(scheduled) // 60}"


def made(cron_job: CronJob, scheduled: float, zone: tzinfo) -> Job:
    """The Job of a time."""
    template = cron_job.spec.jobTemplate
    moment = datetime.fromtimestamp(int(scheduled), zone).isoformat().replace("+00:00", "Z")
    metadata = ObjectMeta(
        name=job_name(cron_job, scheduled),
        namespace=cron_job.metadata.namespace,
        labels=dict(template.metadata.labels),
        annotations={**template.metadata.annotations, SCHEDULED: moment},
        ownerReferences=[owners.reference(cron_job)],
    )
    return Job(metadata=metadata, spec=template.spec)
