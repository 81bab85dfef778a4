"""Jobs: run pods until enough of them have succeeded, or too many have failed.

In: Jobs and pods. Out: pods created, deleted, adopted; their finalizers removed once they are
counted; status; events. Decisions are in ``plan`` and ``compute_status``. Run by ``manager``.
Upstream: pkg/controller/job; https://kubernetes.io/docs/concepts/workloads/controllers/job/.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import partial

import msgspec

from trireme.api.batch.v1.job_types import Job, JobCondition, JobStatus
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import MODIFIED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.workloads import batches
from trireme.controllers.workloads.job import (
    compute_indexes,
    compute_pod,
    compute_status,
    plan,
)
from trireme.controllers.workloads.job.compute_backoff import Backoff
from trireme.controllers.workloads.job.compute_status import Outcome, Tracking
from trireme.controllers.workloads.job.metrics import SUBSYSTEM, JobMetrics, action_of
from trireme.controllers.workloads.job.orphans import Orphans
from trireme.controllers.workloads.job.plan import Plan
from trireme.controllers.workloads.owned_pods import OwnedPods
from trireme.controllers.workloads.pod_control import PodControl
from trireme.domain import pods
from trireme.machinery import errors
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.pace import Pace
from trireme.runtime.written import WAIT, Written

NAME = "job-controller"
# A Job is looked at so often at most, so that the status is written for many pods at once; unless
# its spec changes, or half of its pods have ended, which is many.
BATCH_SECONDS = 1.0
RETRY = (1.0, 60.0)


class Jobs:
    """The caches, the backoffs, and the executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._metrics = JobMetrics(context.env.metrics)
        self._written = Written(context.env.clock, context.env.metrics, SUBSYSTEM)
        self._backoffs: dict[Key, Backoff] = {}
        self._pace = Pace(context.env.clock)
        # How many pods have ended since the last look, and how many were active then.
        self._ended: Counter[Key] = Counter()
        self._active: dict[Key, int] = {}
        self._jobs = context.informers.of(Job)
        self._pods = context.informers.of(Pod)
        self._control = PodControl(context.client, context.recorder, self._written, self._pods)
        self._owned = OwnedPods(
            self._jobs, self._pods, Job, self._written, finalizers=(compute_indexes.FINALIZER,)
        )
        workers = context.settings.workers.job
        self._loop = Controller("job", self.reconcile, context.env, workers=workers, retry=RETRY)
        self._loop.watch(self._jobs, triggers.only(_spec_changed, triggers.own()))
        others = triggers.only(lambda event: not _spec_changed(event), triggers.own())
        self._loop.watch(self._jobs, others, self._delay)
        self._loop.watch(self._pods, self._of_pod, self._delay)
        self._jobs.add_handler(self._metrics.of_job)
        self._pods.add_handler(self._metrics.of_pod)
        self._orphans = Orphans(context, self._jobs, self._pods, self._owned)

    async def run(self) -> None:
        """Both loops, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop.run(), name=NAME)
            group.create_task(self._orphans.loop.run(), name=f"{NAME}/orphans")

    async def reconcile(self, key: Key) -> After | None:
        """One step for one Job."""
        found = self._jobs.get(*key)
        if found is None or plan.is_finished(found):
            self._forget(key)
            return None
        if plan.is_managed_elsewhere(found):
            return None
        if not self._written.visible(key):
            return WAIT
        self._pace.looked(key, BATCH_SECONDS)
        self._ended.pop(key, None)
        began = self._clock.monotonic()
        action, failed = "reconciling", True
        try:
            planned = await self._plan(key, found)
            action = action_of(planned)
            await self._execute(key, found, planned)
            failed = False
        finally:
            seconds = self._clock.monotonic() - began
            self._metrics.synced(found, action, seconds, failed=failed)
        return None if planned.revisit is None else After(planned.revisit)

    async def _plan(self, key: Key, found: Job) -> Plan:
        owned = await self._owned.claim(self._client, found)
        backoff = self._backoffs.get(key, Backoff())
        return plan.plan(found, owned, backoff, self._clock.now())

    async def _execute(self, key: Key, found: Job, planned: Plan) -> None:
        """Carry a plan out, and write the status."""
        outcome, failure = await self._act(found, planned)
        self._active[key] = outcome.active
        tracking = compute_status.track(planned, outcome, self._clock.now())
        try:
            await self._track(found, planned, tracking)
        except errors.ApiError as error:
            # It went in the meantime; there is no status to write.
            if not errors.is_not_found(error):
                raise
        if failure is not None:
            raise failure

    def _forget(self, key: Key) -> None:
        self._written.forget(key)
        self._backoffs.pop(key, None)
        self._pace.forget(key)
        self._ended.pop(key, None)
        self._active.pop(key, None)

    def _of_pod(self, event: Event[Pod]) -> Iterable[Key]:
        """The Jobs that a pod's change concerns; counts those that have ended."""
        concerned = self._owned.concerned(event)
        before = event.old is not None and pods.is_finished(event.old)
        if not before and pods.is_finished(event.object):
            self._ended.update(list(concerned))
        return concerned

    def _delay(self, key: Key) -> float:
        """How long the Job waits after a change of a pod."""
        if 2 * self._ended[key] >= self._active.get(key, 0) > 0:
            return 0.0
        return self._pace.delay(key)

    async def _act(self, found: Job, planned: Plan) -> tuple[Outcome, Exception | None]:
        """Create or delete pods; what came of it, and the first error."""
        active, ready, terminating = len(planned.active), planned.ready, planned.terminating
        match planned.action:
            case plan.Create(indexes):
                done, failure = await self._create(found, planned, indexes)
                return Outcome(active + done, ready, terminating), failure
            case plan.Remove(victims) | plan.End(victims):
                untracked = isinstance(planned.action, plan.Remove)
                gone: list[Pod] = []
                _, failure = await batches.all_at_once(
                    partial(self._delete, found, pod, untracked, gone) for pod in victims
                )
                return (
                    Outcome(
                        active - len(gone),
                        ready - sum(map(pods.is_ready, gone)),
                        terminating + len(gone),
                        len(gone) == len(victims),
                    ),
                    failure,
                )
        return Outcome(active, ready, terminating), None

    async def _create(
        self, found: Job, planned: Plan, indexes: list[int | None]
    ) -> tuple[int, Exception | None]:
        template, ahead = compute_pod.template_of(found), iter(indexes)

        async def create(index: int | None) -> None:
            replaced = planned.replaced.get(index) if index is not None else None
            pod = compute_pod.pod_of(found, template, index, replaced)
            await self._control.create(found, pod)

        done, failure = await batches.slow_start(len(indexes), lambda: create(next(ahead)))
        self._metrics.created(planned, done, len(indexes))
        return done, failure

    async def _delete(self, found: Job, pod: Pod, untracked: bool, gone: list[Pod]) -> None:
        if untracked:
            await self._untrack(found, pod)
        await self._control.delete(found, pod)
        gone.append(pod)

    async def _track(self, found: Job, planned: Plan, tracking: Tracking) -> None:
        """Name the pods that will be counted, remove their finalizers, count them."""
        if tracking.remove and tracking.status != found.status:
            found = await self._write(found, tracking.status)
        self._backoffs[keys.of(found.metadata)] = planned.backoff
        removed: set[str] = set()
        _, failure = await batches.all_at_once(
            partial(self._untrack, found, pod, removed) for pod in tracking.remove
        )
        self._metrics.removed(found, (p for p in tracking.remove if p.metadata.uid in removed))
        compute_status.count(tracking.status, tracking.tracked - removed)
        ended = None if failure is not None else compute_status.finish(tracking, self._clock.now())
        if tracking.status != found.status:
            await self._write(found, tracking.status)
        if tracking.event is not None:
            self._events.event(found, recorder.NORMAL, *tracking.event)
        if ended is not None:
            self._report(found, tracking.status, ended)
        if failure is not None:
            raise failure

    async def _write(self, found: Job, status: JobStatus) -> Job:
        changed = msgspec.structs.replace(found, status=status)
        stored = await self._client.update(changed, subresource="status")
        self._written.wrote(keys.of(found.metadata), self._jobs, stored)
        self._metrics.counted(found, status)
        return stored

    async def _untrack(self, found: Job, pod: Pod, removed: set[str] | None = None) -> None:
        """Remove the finalizer of a pod, if it is there."""
        try:
            stored = await self._client.patch(
                Pod, pod.metadata.name, pod.metadata.namespace, compute_pod.UNTRACK, "strategic"
            )
            self._written.wrote(keys.of(found.metadata), self._pods, stored)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
        if removed is not None:
            removed.add(pod.metadata.uid)

    def _report(self, found: Job, status: JobStatus, ended: JobCondition) -> None:
        self._metrics.finished(found, ended)
        if ended.type == plan.FAILED:
            self._events.event(found, recorder.WARNING, ended.reason, ended.message)
            return
        completions = found.spec.completions
        if completions is not None and status.succeeded > completions:
            message = "Too many succeeded pods running after completion count reached"
            self._events.event(found, recorder.WARNING, "TooManySucceededPods", message)
        self._events.event(found, recorder.NORMAL, "Completed", "Job completed")


def _spec_changed(event: Event[Job]) -> bool:
    return (
        event.type != MODIFIED
        or event.old is None
        or event.old.metadata.generation != event.object.metadata.generation
    )


CONTROLLER = Definition(NAME, Jobs)
