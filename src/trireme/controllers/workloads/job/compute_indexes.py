"""The completion indexes of an indexed Job: succeeded, failed, to be started, started twice. Pure.

In: the Job and its pods. Out: intervals, indexes, pods. Called by ``plan``. Rules: upstream
pkg/controller/job/indexed_job_utils;
https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

from trireme.api.batch.v1.job_types import Job
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads import plan_replicaset
from trireme.controllers.workloads.job import compute_backoff, compute_policies, intervals
from trireme.controllers.workloads.job.intervals import Intervals
from trireme.domain import pods
from trireme.machinery import time

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"


def is_indexed(job: Job) -> bool:
    """Whether each completion has an index."""
    return job.spec.completionMode == "Indexed"


def is_tracked(pod: Pod) -> bool:
    """Whether the pod has the finalizer: it is not counted yet."""
    return FINALIZER in pod.metadata.finalizers


def index_of(pod: Pod) -> int:
    """The completion index of the pod; -1 when it has none that is readable."""
    return _number(pod.metadata.annotations.get(INDEX, ""), -1)


def in_range(job: Job, pod: Pod) -> bool:
    """Whether the pod has an index that the Job has."""
    return 0 <= index_of(pod) < (job.spec.completions or 0)


def _number(text: str, otherwise: int = 0) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else otherwise


def failures(pod: Pod) -> tuple[int, int]:
    """How often its index had failed before, and how often so that it did not count: as the pod's
    annotations say."""
    notes = pod.metadata.annotations
    counted, ignored = _number(notes.get(FAILURES, "")), _number(notes.get(IGNORED_FAILURES, ""))
    return (counted if counted < 2**31 else 0), (ignored if ignored < 2**31 else 0)


def failures_with(job: Job, replaced: Pod | None) -> tuple[int, int]:
    """The same for the pod that comes after ``replaced``."""
    if replaced is None:
        return 0, 0
    counted, ignored = failures(replaced)
    counts = compute_policies.match(job, replaced).counts
    return counted + counts, ignored + (not counts)


def succeeded(job: Job, owned: Iterable[Pod]) -> tuple[Intervals, Intervals]:
    """The succeeded indexes that the status has, and those with what the pods add."""
    known = intervals.parse(job.status.completedIndexes, job.spec.completions or 0)
    fresh = (
        index_of(pod)
        for pod in owned
        if pod.status.phase == "Succeeded" and is_tracked(pod) and in_range(job, pod)
    )
    return known, intervals.merge(known, intervals.of(fresh))


def failed(job: Job, owned: Iterable[Pod]) -> Intervals:
    """The indexes that have failed for good; only with a backoff limit for each index."""
    known = intervals.parse(job.status.failedIndexes or "", job.spec.completions or 0)
    fresh = (
        index_of(pod)
        for pod in owned
        if is_tracked(pod) and in_range(job, pod) and _fails_index(job, pod)
    )
    return intervals.merge(known, intervals.of(fresh))


def _fails_index(job: Job, pod: Pod) -> bool:
    if not compute_policies.is_failed(job, pod):
        return False
    match = compute_policies.match(job, pod)
    if match.action == "FailIndex":
        return True
    return match.counts and failures(pod)[0] >= (job.spec.backoffLimitPerIndex or 0)


def pending(
    job: Job, count: int, active: Iterable[Pod], terminating: Iterable[Pod], done: Intervals
) -> list[int]:
    """The lowest ``count`` indexes that are to be started."""
    taken = set(map(index_of, active))
    if compute_policies.only_replaces_failed(job):
        taken |= set(map(index_of, terminating))
    taken.discard(-1)
    occupied = intervals.merge(done, intervals.of(taken))
    return list(islice(intervals.missing(occupied, job.spec.completions or 0), count))


def replaced_by_index(
    job: Job, candidates: Iterable[Pod], active: Iterable[Pod], done: Intervals
) -> dict[int, Pod]:
    """The failed pod of each index that waits for its replacement: it stays until then, because
    the replacement takes over its count of failures."""
    running = set(map(index_of, active))
    found: dict[int, Pod] = {}
    for pod in candidates:
        index = index_of(pod)
        if not compute_policies.is_failed(job, pod):
            continue
        if index in running or intervals.has(done, index):
            continue
        known = found.get(index)
        if known is None or _is_later(pod, known):
            found[index] = pod
    return found


def _is_later(pod: Pod, known: Pod) -> bool:
    more = sum(failures(pod)) >= sum(failures(known))
    return more and compute_backoff.finished_at(pod) >= compute_backoff.finished_at(known)


def index_delay(replaced: Pod | None, now: float) -> float:
    """Seconds until the index of a failed pod may be started again."""
    if replaced is None:
        return 0.0
    count = sum(failures(replaced)) + 1
    return compute_backoff.remaining(count, compute_backoff.finished_at(replaced), now)


def to_remove(job: Job, active: Sequence[Pod], at_least: int) -> list[Pod]:
    """The active pods that have to go: those without a good index and those that have one twice,
    then as many more as are too many, the least advanced first."""
    remaining = list(active)
    removed: list[Pod] = []
    if is_indexed(job):
        by_index: defaultdict[int, list[Pod]] = defaultdict(list)
        for pod in active:
            by_index[index_of(pod) if in_range(job, pod) else -1].append(pod)
        removed += by_index.pop(-1, [])
        remaining = []
        for index in sorted(by_index):
            *twice, kept = by_progress(by_index[index])
            removed += twice
            remaining.append(kept)
    more = at_least - len(removed)
    return removed + by_progress(remaining)[:more] if more > 0 else removed


def by_progress(active: Iterable[Pod]) -> list[Pod]:
    """In the order in which they may go: unassigned, pending, not ready, ready for a short time,
    often restarted, young."""

    def rank(pod: Pod) -> tuple[float, ...]:
        since = pods.ready_since(pod)
        created = pod.metadata.creationTimestamp
        return (
            bool(pod.spec.nodeName),
            plan_replicaset.PHASES.get(pod.status.phase, 1),
            pods.is_ready(pod),
            float("-inf") if since is None else -since,
            *(-count for count in plan_replicaset.restarts(pod)),
            -time.parse(created) if created else float("-inf"),
        )

    return sorted(active, key=rank)
