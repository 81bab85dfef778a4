"""ReplicaSets and ReplicationControllers: keep a number of pods of a template.

In: sets of one of the two kinds and pods. Out: pods created, deleted, adopted, released; status;
events. Decisions are in ``plan_replicaset``. Run by ``manager``. Upstream:
pkg/controller/replicaset;
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.settings import Workers
from trireme.controllers.workloads import batches, compute_pod, plan_replicaset
from trireme.controllers.workloads.owned_pods import OwnedPods, by_controller, of_spec
from trireme.controllers.workloads.plan_replicaset import AnySet, AnyStatus
from trireme.controllers.workloads.pod_control import PodControl
from trireme.domain import owners, pods
from trireme.machinery import errors
from trireme.machinery.labels import Selector
from trireme.runtime import keys, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Informer
from trireme.runtime.keys import Key
from trireme.runtime.written import WAIT, Written


@dataclass(frozen=True)
class SetKind:
    """What differs between the kinds of set. ``queue`` names the work queue."""

    queue: str
    workers: Callable[[Workers], int]
    type: type[AnySet]
    selector: Callable[[Any], Selector]

    def make(self, context: ControllerContext) -> Controller:
        """The control loop."""
        return ReplicaSets(context, self).loop


SETS = SetKind(
    "replicaset",
    lambda workers: workers.replicaset,
    ReplicaSet,
    of_spec,
)


class ReplicaSets:
    """The caches, and what was written that they do not show yet."""

    def __init__(self, context: ControllerContext, kind: SetKind) -> None:
        self._client = context.client
        self._clock = context.env.clock
        self._written = Written(context.env.clock, context.env.metrics, "replicaset_controller")
        self._sets: Informer[AnySet] = context.informers.of(kind.type)
        self._pods = context.informers.of(Pod)
        self._control = PodControl(context.client, context.recorder, self._written, self._pods)
        self._sets.add_index(by_controller)
        self._owned = OwnedPods(
            self._sets,
            self._pods,
            kind.type,
            self._written,
            selector=kind.selector,
            adopts=pods.is_active,
        )
        self.loop = Controller(
            kind.queue,
            self.reconcile,
            context.env,
            triggers=[(self._sets, triggers.own()), (self._pods, self._owned.concerned)],
            workers=kind.workers(context.settings.workers),
        )

    async def reconcile(self, key: Key) -> After | None:
        """Create or delete pods of one ReplicaSet, and write its status."""
        found = self._sets.get(*key)
        if found is None:
            self._written.forget(key)
            return None
        if not self._written.visible(key):
            return WAIT
        mine = await self._owned.claim(self._client, found)
        active = [pod for pod in mine if pods.is_active(pod)]
        failure: Exception | None = None
        if found.metadata.deletionTimestamp is None:
            failure = await self._manage(found, active)
        # Read after the writes: a condition's time must not be before its cause.
        now = self._clock.now()
        terminating = sum(pods.is_terminating(pod) for pod in mine)
        status = plan_replicaset.status(found, active, terminating, failure, now)
        if status != found.status and not await self._report(found, status):
            return None
        if failure is not None:
            raise failure
        wait = plan_replicaset.next_available(found, active, now)
        return None if wait is None else After(wait)

    async def _report(self, found: AnySet, status: AnyStatus) -> bool:
        """Write the status; whether the ReplicaSet was still there."""
        changed = msgspec.structs.replace(found, status=status)
        try:
            stored = await self._client.update(changed, subresource="status")
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return False
            raise
        self._written.wrote(keys.of(found.metadata), self._sets, stored)
        return True

    async def _manage(self, found: AnySet, active: list[Pod]) -> Exception | None:
        """Create or delete pods; the first error, after all were tried."""
        now = self._clock.now()
        # Pods of the same owner matter only for choosing which to delete.
        too_many = len(active) > plan_replicaset.desired_replicas(found)
        related = self._related(found) if too_many else []
        match plan_replicaset.change(found, active, related, now):
            case plan_replicaset.Create(count):
                template = plan_replicaset.template(found)
                _, failure = await batches.slow_start(
                    count, lambda: self._control.create(found, compute_pod.pod_of(found, template))
                )
                return failure
            case plan_replicaset.Delete(victims):
                _, failure = await batches.all_at_once(
                    partial(self._control.delete, found, pod) for pod in victims
                )
                return failure
        return None

    def _related(self, found: AnySet) -> list[Pod]:
        """Active pods of all ReplicaSets with the same controller, this one's included."""
        namespace = found.metadata.namespace
        owner = owners.controller_uid(found.metadata)
        same_owner = self._sets.by_index(by_controller, (namespace, owner)) if owner else [found]
        return [
            pod
            for item in same_owner
            for pod in self._pods.by_index(by_controller, (namespace, item.metadata.uid))
            if pods.is_active(pod)
        ]


CONTROLLER = Definition("replicaset-controller", SETS.make)
