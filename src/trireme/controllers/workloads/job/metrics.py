"""What is counted about Jobs. Names and labels are upstream's, pkg/controller/job/metrics.

In: what the reconciler did. Out: families in the manager's registry. Called by ``reconcile``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import prometheus_client

from trireme.api.batch.v1.job_types import Job, JobCondition, JobStatus
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import ADDED, DELETED
from trireme.controllers.workloads.job import compute_indexes, compute_policies, intervals, plan
from trireme.controllers.workloads.job.plan import Plan
from trireme.domain import pods
from trireme.kit import metrics
from trireme.runtime.informer import Event

SUBSYSTEM = "job_controller"
_MODE = "completion_mode"


class JobMetrics:
    """The families of the Job controller."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: list[str]) -> prometheus_client.Counter:
            return metrics.counter(registry, f"{SUBSYSTEM}_{name}", text, labels)

        sync = [_MODE, "result", "action"]
        self._seconds = metrics.histogram(
            registry,
            f"{SUBSYSTEM}_job_sync_duration_seconds",
            "How long the work on a Job took",
            metrics.exponential(0.004, 2, 15),
            sync,
        )
        self._syncs = counter("job_syncs_total", "How often a Job was worked on", sync)
        self._finished = counter(
            "jobs_finished_total", "Jobs that have ended", [_MODE, "result", "reason"]
        )
        self._external = counter(
            "jobs_by_external_controller_total", "Jobs of other controllers", ["controller_name"]
        )
        self._pods = counter(
            "job_pods_finished_total", "Pods that have ended and are counted", [_MODE, "result"]
        )
        self._policy = counter(
            "pod_failures_handled_by_failure_policy_total",
            "Failed pods that a rule of the pod failure policy matched",
            ["action"],
        )
        self._tracking = counter(
            "terminated_pods_tracking_finalizer_total",
            "Pods that have ended and have the finalizer: those that came to, and that lost it",
            ["event"],
        )
        self._indexes = counter(
            "job_finished_indexes_total", "Indexes that have ended", ["status", "backoffLimit"]
        )
        self._created = counter(
            "job_pods_creation_total", "Pods created, and for which reason", ["reason", "status"]
        )

    def synced(self, job: Job, action: str, seconds: float, *, failed: bool) -> None:
        """One look at a Job; ``action`` is of ``action_of``, or ``reconciling``."""
        labels = (_mode(job), "error" if failed else "success", action)
        self._seconds.labels(*labels).observe(seconds)
        self._syncs.labels(*labels).inc()

    def created(self, planned: Plan, done: int, count: int) -> None:
        """Of ``count`` pods ``done`` were created; the others were tried, or not begun."""
        only_failed = planned.job.spec.podReplacementPolicy == "Failed"
        reason = "new"
        if only_failed and planned.failed:
            reason = "recreate_failed"
        elif planned.failed or planned.terminating:
            reason = "recreate_terminating_or_failed"
        for status, number in (("succeeded", done), ("failed", count - done)):
            if number:
                self._created.labels(reason, status).inc(number)

    def counted(self, job: Job, status: JobStatus) -> None:
        """The status of ``job`` became ``status``."""
        before = job.status
        succeeded = status.succeeded - before.succeeded
        if compute_indexes.is_indexed(job):
            per_index = job.spec.backoffLimitPerIndex is not None
            limit = "perIndex" if per_index else "global"
            self._add(self._indexes, max(succeeded, 0), "succeeded", limit)
            failed = _count(job, status.failedIndexes) - _count(job, before.failedIndexes)
            if per_index:
                self._add(self._indexes, max(failed, 0), "failed", limit)
        mode = _mode(job)
        self._add(self._pods, max(succeeded, 0), mode, "succeeded")
        self._add(self._pods, max(status.failed - before.failed, 0), mode, "failed")

    def removed(self, job: Job, found: Iterable[Pod]) -> None:
        """Pods lost their finalizers: those that a rule of the policy matched are counted."""
        if job.spec.podFailurePolicy is None:
            return
        failed = [pod for pod in found if compute_policies.is_failed(job, pod)]
        actions = Counter(compute_policies.match(job, pod).action for pod in failed)
        for action, number in actions.items():
            if action:
                self._policy.labels(action).inc(number)

    def finished(self, job: Job, ended: JobCondition) -> None:
        """A Job has ended."""
        result = "failed" if ended.type == plan.FAILED else "succeeded"
        self._finished.labels(_mode(job), result, ended.reason).inc()

    def of_job(self, event: Event[Job]) -> None:
        """A handler: Jobs that are another controller's."""
        if event.type == ADDED and plan.is_managed_elsewhere(event.object):
            self._external.labels(event.object.spec.managedBy).inc()

    def of_pod(self, event: Event[Pod]) -> None:
        """A handler: pods that have ended and have the finalizer."""
        before = event.old is not None and _is_tracked(event.old)
        now = event.type != DELETED and _is_tracked(event.object)
        if before != now:
            self._tracking.labels("add" if now else "delete").inc()

    @staticmethod
    def _add(family: prometheus_client.Counter, number: int, *labels: str) -> None:
        if number:
            family.labels(*labels).inc(number)


def action_of(planned: Plan) -> str:
    """The label ``action`` of what was done."""
    match planned.action:
        case plan.Create():
            return "pods_created"
        case plan.Remove() | plan.End():
            return "pods_deleted"
    return "tracking"


def _mode(job: Job) -> str:
    return "Indexed" if compute_indexes.is_indexed(job) else "NonIndexed"


def _count(job: Job, text: str | None) -> int:
    return intervals.total(intervals.parse(text or "", job.spec.completions or 0))


def _is_tracked(pod: Pod) -> bool:
    return pods.is_finished(pod) and compute_indexes.is_tracked(pod)
