"""What a Job needs next: pods created or deleted, or its end. Pure.

In: the Job, its pods, the backoff so far, the time. Out: a ``Plan``: what was observed, at most one
kind of action, and the condition that ends the Job, if one does. ``reconcile`` carries it out;
``compute_status`` makes the status from what came of it. Upstream: pkg/controller/job syncJob and
manageJob; https://kubernetes.io/docs/concepts/workloads/controllers/job/.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trireme.api.batch.v1.job_types import Job, JobCondition
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.job import (
    compute_backoff,
    compute_indexes,
    compute_policies,
    intervals,
)
from trireme.controllers.workloads.job.compute_backoff import Backoff
from trireme.controllers.workloads.job.intervals import Intervals
from trireme.domain import pods
from trireme.machinery import time

# Pods created or deleted in one step.
BURST = 500
COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
FAILURE_TARGET, SUCCESS_CRITERIA_MET = "FailureTarget", "SuccessCriteriaMet"
CONTROLLER_NAME = "kubernetes.io/job-controller"


class Create(msgspec.Struct, frozen=True):
    """Create a pod for each: its completion index, None where the Job has no indexes."""

    indexes: list[int | None]


class Remove(msgspec.Struct, frozen=True):
    """Delete these pods, which do not count: their finalizers go first."""

    pods: list[Pod]


class End(msgspec.Struct, frozen=True):
    """Delete the active pods of a Job that is decided; they are counted like the others."""

    pods: list[Pod]


Action = Create | Remove | End | None


class Plan(msgspec.Struct, kw_only=True):
    """``start`` is the start time that the status gets. ``succeeded`` and ``failed`` count the
    finished pods that the status does not have yet, too. ``ending`` is the condition that decides
    the Job. ``revisit``: seconds until the time alone may change the plan."""

    job: Job
    pods: list[Pod]
    active: list[Pod]
    terminating: int
    ready: int
    succeeded: int
    failed: int
    start: str | None
    backoff: Backoff
    known_indexes: Intervals = ()
    succeeded_indexes: Intervals = ()
    failed_indexes: Intervals | None = None
    replaced: dict[int, Pod] = {}
    ending: JobCondition | None = None
    action: Action = None
    revisit: float | None = None


def plan(job: Job, owned: Sequence[Pod], backoff: Backoff, now: float) -> Plan:
    """One step. The caches show all that was written before."""
    found = _observe(job, owned, backoff, now)
    found.ending = _ending(found, now)
    if found.ending is not None:
        found.action = End(found.active) if found.active else None
    elif job.metadata.deletionTimestamp is None:
        found.action = _manage(found, now)
    deadline = job.spec.activeDeadlineSeconds
    if found.ending is None and deadline is not None and not is_suspended(job) and found.start:
        _revisit(found, time.parse(found.start) + deadline - now)
    return found


def is_suspended(job: Job) -> bool:
    """Whether the Job shall have no pods for now."""
    return bool(job.spec.suspend)


def is_managed_elsewhere(job: Job) -> bool:
    """Whether another controller reconciles it."""
    return job.spec.managedBy not in (None, CONTROLLER_NAME)


def is_finished(job: Job) -> bool:
    """Whether it has completed or failed for good."""
    return finished_condition(job) is not None


def finished_condition(job: Job) -> JobCondition | None:
    """The condition Complete or Failed, where it is true."""
    ends = (item for item in job.status.conditions if item.type in (COMPLETE, FAILED))
    return next((item for item in ends if item.status == "True"), None)


def condition_of(job: Job, kind: str) -> JobCondition | None:
    """The condition of a type, where it is true."""
    found = (item for item in job.status.conditions if item.type == kind)
    return next((item for item in found if item.status == "True"), None)


def condition(
    kind: str, reason: str, message: str, now: float, status: str = "True"
) -> JobCondition:
    """A condition that came about now."""
    stamp = time.format(now)
    return JobCondition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        lastProbeTime=stamp,
        lastTransitionTime=stamp,
    )


def countable(job: Job, owned: Sequence[Pod]) -> list[Pod]:
    """The pods that are not counted yet and may be: with the finalizer and, in an indexed Job, an
    index that it has."""
    indexed = compute_indexes.is_indexed(job)
    return [
        pod
        for pod in owned
        if compute_indexes.is_tracked(pod) and (not indexed or compute_indexes.in_range(job, pod))
    ]


def _observe(job: Job, owned: Sequence[Pod], backoff: Backoff, now: float) -> Plan:
    uncounted = job.status.uncountedTerminatedPods
    counted_succeeded = set(uncounted.succeeded) if uncounted is not None else set()
    counted_failed = set(uncounted.failed) if uncounted is not None else set()
    candidates = countable(job, owned)
    succeeded = [
        pod
        for pod in candidates
        if pod.status.phase == "Succeeded" and pod.metadata.uid not in counted_succeeded
    ]
    failed = [
        pod
        for pod in candidates
        if pod.metadata.uid not in counted_failed and compute_policies.is_failed(job, pod)
    ]
    count_failed = sum(compute_policies.match(job, pod).counts for pod in failed)
    start = job.status.startTime
    if start is None and not is_suspended(job):
        start = time.format(now)
    active = [pod for pod in owned if pods.is_active(pod)]
    found = Plan(
        job=job,
        pods=list(owned),
        active=active,
        terminating=sum(map(pods.is_terminating, owned)),
        ready=compute_policies.ready_count(active),
        succeeded=job.status.succeeded + len(succeeded) + len(counted_succeeded),
        failed=job.status.failed + count_failed + len(counted_failed),
        start=start,
        backoff=compute_backoff.after(backoff, succeeded, failed),
    )
    if compute_indexes.is_indexed(job):
        found.known_indexes, found.succeeded_indexes = compute_indexes.succeeded(job, owned)
        if job.spec.backoffLimitPerIndex is not None:
            found.failed_indexes = compute_indexes.failed(job, owned)
            done = intervals.merge(found.succeeded_indexes, found.failed_indexes)
            found.replaced = compute_indexes.replaced_by_index(job, candidates, active, done)
        found.succeeded = intervals.total(found.succeeded_indexes)
    return found


def _ending(found: Plan, now: float) -> JobCondition | None:
    """What decides the Job; the first that is met, and what was met before stays."""
    job = found.job
    met = condition_of(job, SUCCESS_CRITERIA_MET)
    if met is not None:
        return met
    target = condition_of(job, FAILURE_TARGET)
    if target is not None:
        # It is there already: what is left is to fail.
        return condition(FAILED, target.reason, target.message, now)
    if message := compute_policies.failure_message(job, found.pods):
        return condition(FAILURE_TARGET, "PodFailurePolicy", message, now)
    limit = job.spec.backoffLimit
    exceeded = limit is not None and found.failed > limit
    if exceeded or compute_policies.restarts_exceed_limit(job, found.pods):
        message = "Job has reached the specified backoff limit"
        return condition(FAILURE_TARGET, "BackoffLimitExceeded", message, now)
    if _is_past_deadline(job, now):
        message = "Job was active longer than specified deadline"
        return condition(FAILURE_TARGET, "DeadlineExceeded", message, now)
    if found.failed_indexes is not None:
        count, limit = intervals.total(found.failed_indexes), job.spec.maxFailedIndexes
        if limit is not None and count > limit:
            message = "Job has exceeded the specified maximal number of failed indexes"
            return condition(FAILURE_TARGET, "MaxFailedIndexesExceeded", message, now)
        if count and count + found.succeeded >= (job.spec.completions or 0):
            return condition(FAILURE_TARGET, "FailedIndexes", "Job has failed indexes", now)
    if message := compute_policies.success_message(job, found.succeeded_indexes):
        return condition(SUCCESS_CRITERIA_MET, "SuccessPolicy", message, now)
    return None


def _is_past_deadline(job: Job, now: float) -> bool:
    deadline, start = job.spec.activeDeadlineSeconds, job.status.startTime
    if deadline is None or start is None or is_suspended(job):
        return False
    return now - time.parse(start) >= deadline


def desired_active(found: Plan) -> int:
    """How many pods shall run at a time now."""
    spec = found.job.spec
    parallelism = 1 if spec.parallelism is None else spec.parallelism
    if spec.completions is None:
        # The first success says that the work is done: what runs may end.
        return len(found.active) if found.succeeded else parallelism
    return max(0, min(parallelism, spec.completions - found.succeeded))


def _manage(found: Plan, now: float) -> Action:
    """Deletions come first; creations wait for them."""
    job, active = found.job, found.active
    if is_suspended(job):
        removed = compute_indexes.to_remove(job, active, len(active))
        return Remove(removed) if removed else None
    desired = desired_active(found)
    removed = compute_indexes.to_remove(job, active, max(0, len(active) - desired))[:BURST]
    if removed:
        return Remove(removed)
    if compute_policies.only_replaces_failed(job):
        desired -= found.terminating
    count = min(desired - len(active), BURST)
    return _create(found, count, now) if count > 0 else None


def _create(found: Plan, count: int, now: float) -> Action:
    job = found.job
    if found.failed_indexes is None:
        wait = found.backoff.remaining(now)
        if wait > 0:
            _revisit(found, wait)
            return None
    if not compute_indexes.is_indexed(job):
        return Create([None] * count)
    terminating = [pod for pod in found.pods if pods.is_terminating(pod)]
    done = intervals.merge(found.succeeded_indexes, found.failed_indexes or ())
    indexes = compute_indexes.pending(job, count, found.active, terminating, done)
    waits = {
        index: compute_indexes.index_delay(found.replaced.get(index), now) for index in indexes
    }
    due = [index for index in indexes if waits[index] <= 0]
    for wait in waits.values():
        if wait > 0:
            _revisit(found, wait)
    return Create([*due]) if due else None


def _revisit(found: Plan, seconds: float) -> None:
    known = found.revisit
    found.revisit = seconds if known is None else min(known, seconds)
