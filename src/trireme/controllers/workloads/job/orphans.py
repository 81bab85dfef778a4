"""Pods that no Job will count any more: their finalizers are removed, so that they can be deleted.

In: pods with the finalizer of Jobs; Jobs that finished or were deleted. Out: patches. Started by
``reconcile``. Upstream: pkg/controller/job syncOrphanPod.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.batch.v1.job_types import Job
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext
from trireme.controllers.workloads.job import compute_indexes, compute_pod, plan
from trireme.controllers.workloads.owned_pods import OwnedPods
from trireme.domain import owners
from trireme.machinery import errors
from trireme.runtime import keys
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key

REMEMBERED = 10_000


class Orphans:
    """The loop; its keys are those of pods."""

    def __init__(
        self,
        context: ControllerContext,
        jobs: Informer[Job],
        pods: Informer[Pod],
        owned: OwnedPods[Job],
    ) -> None:
        self._client = context.client
        # Uids of Jobs that were seen to go.
        self._gone: dict[str, None] = {}
        self._pods = pods
        self._owned = owned
        self.loop = Controller(
            "job_orphan_pod",
            self.reconcile,
            context.env,
            triggers=[(jobs, self._of_job), (pods, self._of_pod)],
            workers=5,
            retry=(1.0, 60.0),
        )

    async def reconcile(self, key: Key) -> None:
        """Remove the finalizer of one pod, unless a Job is going to."""
        pod = self._pods.get(*key)
        if pod is None or not self._is_orphan(pod) or await self._has_job(pod):
            return
        try:
            await self._client.patch(Pod, key.name, key.namespace, compute_pod.UNTRACK, "strategic")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def _is_orphan(self, pod: Pod) -> bool:
        if not compute_indexes.is_tracked(pod):
            return False
        reference = owners.controller_of(pod.metadata)
        if reference is None:
            return True
        if (reference.kind, reference.apiVersion) != ("Job", "batch/v1"):
            return False
        job = self._owned.owner_of(pod)
        if job is None:
            return True
        return plan.is_finished(job) and not plan.is_managed_elsewhere(job)

    async def _has_job(self, pod: Pod) -> bool:
        """Whether the pod's Job is there although the cache does not show it: a pod that loses its
        finalizer too early is never counted."""
        reference = owners.controller_of(pod.metadata)
        if reference is None or reference.uid in self._gone or self._owned.owner_of(pod):
            return False
        try:
            job = await self._client.get(Job, reference.name, pod.metadata.namespace)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return False
            raise
        return job.metadata.uid == reference.uid

    def _of_pod(self, event: Event[Pod]) -> Iterable[Key]:
        return [event.key] if event.type != DELETED and self._is_orphan(event.object) else ()

    def _of_job(self, event: Event[Job]) -> Iterable[Key]:
        """The pods of a Job that has finished or is gone."""
        if event.type == DELETED:
            self._gone[event.object.metadata.uid] = None
            if len(self._gone) > REMEMBERED:
                del self._gone[next(iter(self._gone))]
        elif not plan.is_finished(event.object):
            return ()
        return [keys.of(pod.metadata) for pod in self._owned.of(event.object)]
