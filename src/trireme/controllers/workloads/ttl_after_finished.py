"""Jobs that finished are deleted once their time to live is over.

In: Jobs with ``ttlSecondsAfterFinished``. Out: deletions, in the foreground. Run by ``manager``.
Upstream: pkg/controller/ttlafterfinished;
https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/.
"""

from __future__ import annotations

from trireme.api.batch.v1.job_types import Job
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.workloads.job import plan
from trireme.kit import metrics
from trireme.machinery import errors, time
from trireme.machinery.meta import DeleteOptions, Preconditions
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key


class TTLAfterFinished:
    """The executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._clock = context.env.clock
        self._jobs = context.informers.of(Job)
        self._late = metrics.histogram(
            context.env.metrics,
            "ttl_after_finished_controller_job_deletion_duration_seconds",
            "How long after its time a Job was deleted",
            metrics.exponential(0.1, 2, 14),
        )
        desired = triggers.only(lambda event: _ttl(event.object) is not None, triggers.own())
        self.loop = Controller(
            "ttl_jobs_to_delete",
            self.reconcile,
            context.env,
            triggers=[(self._jobs, desired)],
            workers=context.settings.workers.ttl_after_finished,
        )

    async def reconcile(self, key: Key) -> After | None:
        """Delete one Job, or wait until it is time."""
        found = self._jobs.get(*key)
        left = remaining(found, self._clock.now()) if found is not None else None
        if left is None or left > 0:
            return None if left is None else After(left)
        try:
            # The time to live may have been made longer.
            fresh = await self._client.get(Job, key.name, key.namespace)
            left = remaining(fresh, self._clock.now())
            if left is None or left > 0:
                return None if left is None else After(left)
            options = DeleteOptions(
                propagationPolicy="Foreground",
                preconditions=Preconditions(uid=fresh.metadata.uid),
            )
            await self._client.delete(Job, key.name, key.namespace, options)
            self._late.observe(-left)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
        return None


def remaining(job: Job, now: float) -> float | None:
    """Seconds until the Job is to be deleted; None for one that is not, or is being deleted."""
    ended, ttl = plan.finished_condition(job), _ttl(job)
    if ended is None or ttl is None or not ended.lastTransitionTime:
        return None
    return time.parse(ended.lastTransitionTime) + ttl - now


def _ttl(job: Job) -> int | None:
    if job.metadata.deletionTimestamp is not None:
        return None
    return job.spec.ttlSecondsAfterFinished


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return TTLAfterFinished(context).loop


CONTROLLER = Definition("ttl-after-finished-controller", make)
