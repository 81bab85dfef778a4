"""The status of a Job, and which pods give up their finalizers. Pure.

In: a ``Plan`` and what came of its action. Out: ``Tracking``: the status to be written before the
finalizers go, which names the pods that are about to be counted; the pods. Then, with the uids
whose finalizers went, the status that has counted them. Between the two writes the controller may
die: a pod is in the list, has its finalizer, or is counted, and so is counted exactly once.
Upstream: pkg/controller/job trackJobStatusAndRemoveFinalizers;
https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-tracking-with-finalizers.
"""

from __future__ import annotations

from collections.abc import Set

import msgspec

from trireme.api.batch.v1.job_types import (
    Job,
    JobCondition,
    JobStatus,
    UncountedTerminatedPods,
)
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.job import compute_indexes, compute_policies, intervals, plan
from trireme.controllers.workloads.job.plan import Plan

# Uids in the status: about 20 kB.
MAX_UNCOUNTED = 500


class Outcome(msgspec.Struct, frozen=True):
    """What came of the action: how many active pods there are now, how many of them are ready,
    how many pods are being deleted; whether all that it should do was done."""

    active: int
    ready: int
    terminating: int
    whole: bool = True


class Tracking(msgspec.Struct):
    """``status`` is written first; then ``remove`` lose their finalizers. ``ending`` is the final
    condition, once nothing is left to be counted; ``tracked`` the uids that have finalizers;
    ``event`` says that the Job was suspended or resumed."""

    status: JobStatus
    remove: list[Pod]
    ending: JobCondition | None
    tracked: set[str]
    event: tuple[str, str] | None = None


def track(found: Plan, outcome: Outcome, now: float) -> Tracking:
    """The status after the action, and which finalizers are to go."""
    job, ending = found.job, _ending(found, outcome, now)
    status = msgspec.structs.replace(
        job.status,
        startTime=found.start,
        active=outcome.active,
        ready=outcome.ready,
        terminating=outcome.terminating,
        conditions=list(job.status.conditions),
        uncountedTerminatedPods=_copied(job.status),
    )
    tracking = Tracking(
        status=status,
        remove=[],
        ending=ending,
        tracked={p.metadata.uid for p in found.pods if compute_indexes.is_tracked(p)},
    )
    managed = found.ending is None and job.metadata.deletionTimestamp is None
    if managed and ending is None:
        _suspend_or_resume(job, tracking, now)
    count(status, tracking.tracked)
    whole = _collect(found, tracking)
    _interim(tracking, now)
    if not whole:
        tracking.ending = None
    return tracking


def count(status: JobStatus, tracked: Set[str]) -> None:
    """Count the pods of the list whose finalizers are gone. Changes ``status``."""
    uncounted = status.uncountedTerminatedPods
    assert uncounted is not None
    succeeded = [uid for uid in uncounted.succeeded if uid in tracked]
    failed = [uid for uid in uncounted.failed if uid in tracked]
    status.succeeded += len(uncounted.succeeded) - len(succeeded)
    status.failed += len(uncounted.failed) - len(failed)
    status.uncountedTerminatedPods = UncountedTerminatedPods(succeeded=succeeded, failed=failed)


def finish(tracking: Tracking, now: float) -> JobCondition | None:
    """End the Job where all is counted and no pod is left that may still run; the condition that it
    ended with. Changes ``tracking.status``."""
    status, ending = tracking.status, tracking.ending
    uncounted = status.uncountedTerminatedPods
    if ending is None or status.terminating:
        return None
    if uncounted is not None and (uncounted.succeeded or uncounted.failed):
        return None
    last = plan.condition(ending.type, ending.reason, ending.message, now)
    status.conditions = [*(c for c in status.conditions if c.type != last.type), last]
    if last.type == plan.COMPLETE:
        status.completionTime = last.lastTransitionTime
    return last


def _copied(status: JobStatus) -> UncountedTerminatedPods:
    uncounted = status.uncountedTerminatedPods or UncountedTerminatedPods()
    return UncountedTerminatedPods(
        succeeded=list(uncounted.succeeded), failed=list(uncounted.failed)
    )


def _ending(found: Plan, outcome: Outcome, now: float) -> JobCondition | None:
    """The condition that ends the Job, unless pods are left that should be gone."""
    if found.ending is not None:
        return found.ending if outcome.whole else None
    completions = found.job.spec.completions
    enough = found.succeeded > 0 if completions is None else found.succeeded >= completions
    if not enough or outcome.active:
        return None
    message = "Reached expected number of succeeded pods"
    return plan.condition(plan.SUCCESS_CRITERIA_MET, "CompletionsReached", message, now)


def _suspend_or_resume(job: Job, tracking: Tracking, now: float) -> None:
    status, suspended = tracking.status, plan.is_suspended(job)
    if suspended:
        desired = plan.condition(plan.SUSPENDED, "JobSuspended", "Job suspended", now)
        event = ("Suspended", "Job suspended")
    else:
        desired = plan.condition(plan.SUSPENDED, "JobResumed", "Job resumed", now, "False")
        event = ("Resumed", "Job resumed")
    known = next((c for c in status.conditions if c.type == plan.SUSPENDED), None)
    if known is None and not suspended:
        return
    if known is not None and (known.status, known.reason) == (desired.status, desired.reason):
        return
    others = status.conditions
    if known is None:
        status.conditions = [*others, desired]
    else:
        status.conditions = [desired if c is known else c for c in others]
    # The deadline counts the time that the Job is not suspended.
    status.startTime = None if suspended else desired.lastTransitionTime
    tracking.event = event


def _collect(found: Plan, tracking: Tracking) -> bool:
    """Choose the pods that give up their finalizers and put those that count into the status;
    whether these are all."""
    job, status = found.job, tracking.status
    uncounted = status.uncountedTerminatedPods
    assert uncounted is not None
    indexed = compute_indexes.is_indexed(job)
    known_succeeded, known_failed = set(uncounted.succeeded), set(uncounted.failed)
    fresh: list[int] = []
    whole = True
    ordered = sorted(found.pods, key=compute_indexes.index_of) if indexed else found.pods
    for pod in ordered:
        if not compute_indexes.is_tracked(pod) or not _may_go(found, tracking, pod):
            continue
        tracking.remove.append(pod)
        uid = pod.metadata.uid
        counts = not indexed or compute_indexes.in_range(job, pod)
        if pod.status.phase == "Succeeded" and uid not in known_failed:
            if not counts or uid in known_succeeded:
                continue
            if not indexed:
                uncounted.succeeded.append(uid)
            elif not intervals.has(found.known_indexes, compute_indexes.index_of(pod)):
                # The index says that it was counted; no uid is needed.
                fresh.append(compute_indexes.index_of(pod))
        elif counts and uid not in known_failed and _counts_as_failed(found, tracking, pod):
            uncounted.failed.append(uid)
        if len(fresh) + len(uncounted.succeeded) + len(uncounted.failed) >= MAX_UNCOUNTED:
            whole = False
            break
    if indexed:
        done = intervals.merge(found.known_indexes, intervals.of(fresh))
        status.succeeded = intervals.total(done)
        status.completedIndexes = intervals.text(done)
        failed = found.failed_indexes
        status.failedIndexes = None if failed is None else intervals.text(failed)
    return whole


def _may_go(found: Plan, tracking: Tracking, pod: Pod) -> bool:
    """Whether the pod's finalizer is of no more use."""
    if found.job.metadata.deletionTimestamp is not None or tracking.ending is not None:
        return True
    if pod.status.phase == "Succeeded":
        return True
    if not compute_policies.is_failed(found.job, pod):
        return False
    # One that waits for its replacement, which takes over its count of failures, stays.
    waiting = found.replaced.get(compute_indexes.index_of(pod))
    return waiting is None or waiting.metadata.uid != pod.metadata.uid


def _counts_as_failed(found: Plan, tracking: Tracking, pod: Pod) -> bool:
    """Whether it counts: failed, and no rule ignores that. In a Job that fails, so does every pod
    that had not ended."""
    ending = tracking.ending
    fails = ending is not None and ending.type != plan.SUCCESS_CRITERIA_MET
    if not fails and not compute_policies.is_failed(found.job, pod):
        return False
    return compute_policies.match(found.job, pod).counts


def _interim(tracking: Tracking, now: float) -> None:
    """FailureTarget and SuccessCriteriaMet are written before any finalizer goes; what they lead to
    comes after."""
    ending = tracking.ending
    if ending is None or ending.type not in (plan.FAILURE_TARGET, plan.SUCCESS_CRITERIA_MET):
        return
    if all(item.type != ending.type for item in tracking.status.conditions):
        tracking.status.conditions.append(ending)
    last = plan.FAILED if ending.type == plan.FAILURE_TARGET else plan.COMPLETE
    tracking.ending = plan.condition(last, ending.reason, ending.message, now)
