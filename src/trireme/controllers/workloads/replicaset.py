"""ReplicaSets and ReplicationControllers: keep a number of pods of a template.

In: sets of one of the two kinds and pods. Out: pods created, deleted, adopted, released; status;
events. Decisions are in ``plan_replicaset``. Run by ``manager``. Upstream:
pkg/controller/replicaset;
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import ADDED, DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.workloads import batches, claims, plan_replicaset
from trireme.controllers.workloads.plan_replicaset import AnySet, AnyStatus
from trireme.domain import adoption, owners, pods
from trireme.machinery import errors, labels
from trireme.machinery.labels import Selector
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.expectations import Expectations
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key

WORKERS = 5


@dataclass(frozen=True)
class SetKind:
    """What differs between the kinds of set."""

    name: str
    type: type[AnySet]
    group: str
    selector: Callable[[Any], Selector]

    def make(self, context: ControllerContext) -> Controller:
        """The control loop."""
        return ReplicaSets(context, self).loop


SETS = SetKind(
    "replicaset-controller",
    ReplicaSet,
    "apps",
    lambda found: labels.from_struct(found.spec.selector),
)


class ReplicaSets:
    """The controller: informers, and the writes that it expects to observe."""

    def __init__(self, context: ControllerContext, kind: SetKind) -> None:
        self._kind = kind
        self._owner = triggers.controller(kind.type().kind, kind.group)
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._expectations = Expectations(context.env.clock)
        self._sets: Informer[AnySet] = context.informers.of(kind.type)
        self._pods = context.informers.of(Pod)
        self._sets.add_index(by_controller)
        self._pods.add_index(by_controller)
        self.loop = Controller(
            kind.name,
            self.reconcile,
            context.env,
            triggers=[(self._sets, triggers.own()), (self._pods, self._of_pod)],
            workers=WORKERS,
        )

    async def reconcile(self, key: Key) -> After | None:
        """Create or delete pods of one ReplicaSet, and write its status."""
        found = self._sets.get(*key)
        if found is None:
            self._expectations.forget(key)
            return None
        trusted = self._expectations.satisfied(key)
        mine = await self._claim(found)
        active = [pod for pod in mine if pods.is_active(pod)]
        failure: Exception | None = None
        if trusted and found.metadata.deletionTimestamp is None:
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
            await self._client.update(changed, subresource="status")
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return False
            raise
        return True

    async def _claim(self, found: AnySet) -> list[Pod]:
        """The pods that belong to it, terminating and finished ones included."""
        namespace = found.metadata.namespace
        candidates = self._pods.by_index(by_controller, (namespace, found.metadata.uid))
        orphans = self._pods.by_index(by_controller, (namespace, ""))
        candidates += [pod for pod in orphans if pods.is_active(pod)]
        selector = self._kind.selector(found)
        return await claims.adopt_and_release(
            self._client, found, adoption.claim(found, selector, candidates)
        )

    async def _manage(self, found: AnySet, active: list[Pod]) -> Exception | None:
        """Create or delete pods; the first error, after all were tried."""
        now = self._clock.now()
        # Pods of the same owner matter only for choosing which to delete.
        too_many = len(active) > plan_replicaset.desired_replicas(found)
        related = self._related(found) if too_many else []
        match plan_replicaset.change(found, active, related, now):
            case plan_replicaset.Create(count):
                return await self._create(found, count)
            case plan_replicaset.Delete(victims):
                return await self._delete(found, victims)
        return None

    async def _create(self, found: AnySet, count: int) -> Exception | None:
        key = keys.of(found.metadata)
        self._expectations.expect_creations(key, count)
        done, failure = await batches.slow_start(count, lambda: self._create_one(found))
        for _ in range(count - done):
            self._expectations.creation_observed(key)
        return failure

    async def _create_one(self, found: AnySet) -> None:
        try:
            made = await self._client.create(plan_replicaset.pod_of(found))
        except Exception as error:
            if errors.is_namespace_terminating(error):
                # Every other creation would fail too, and the ReplicaSet is deleted soon.
                self._expectations.creation_observed(keys.of(found.metadata))
                return
            message = f"Error creating: {error}"
            self._events.event(found, recorder.WARNING, "FailedCreate", message)
            raise
        message = f"Created pod: {made.metadata.name}"
        self._events.event(found, recorder.NORMAL, "SuccessfulCreate", message)

    async def _delete(self, found: AnySet, victims: list[Pod]) -> Exception | None:
        key = keys.of(found.metadata)
        self._expectations.expect_deletions(key, [pod.metadata.uid for pod in victims])

        async def delete(pod: Pod) -> None:
            try:
                await self._client.delete(Pod, pod.metadata.name, pod.metadata.namespace)
            except Exception as error:
                # Gone already or not deleted: no watch event will fulfil the expectation.
                self._expectations.deletion_observed(key, pod.metadata.uid)
                if errors.is_not_found(error):
                    return
                message = f"Error deleting: {error}"
                self._events.event(found, recorder.WARNING, "FailedDelete", message)
                raise
            message = f"Deleted pod: {pod.metadata.name}"
            self._events.event(found, recorder.NORMAL, "SuccessfulDelete", message)

        _, failure = await batches.all_at_once(partial(delete, pod) for pod in victims)
        return failure

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

    def _of_pod(self, event: Event[Pod]) -> Iterable[Key]:
        """The ReplicaSets to reconcile after a pod's change; lowers their expectations."""
        pod = event.object
        found: dict[Key, None] = {}
        for key in self._owner(event):
            found[key] = None
        owner = self._owner_of(pod)
        if owner is not None:
            if event.type == DELETED or pod.metadata.deletionTimestamp is not None:
                self._expectations.deletion_observed(owner, pod.metadata.uid)
            elif event.type == ADDED:
                self._expectations.creation_observed(owner)
        elif event.type != DELETED and owners.controller_of(pod.metadata) is None:
            found |= dict.fromkeys(self._adopters(event))
        return found

    def _owner_of(self, pod: Pod) -> Key | None:
        """The ReplicaSet that controls the pod, if the cache has it with this uid."""
        reference = owners.controller_of(pod.metadata)
        if reference is None or reference.kind != self._kind.type().kind:
            return None
        owner = self._sets.get(pod.metadata.namespace, reference.name)
        if owner is None or owner.metadata.uid != reference.uid:
            return None
        return keys.of(owner.metadata)

    def _adopters(self, event: Event[Pod]) -> Iterable[Key]:
        """The ReplicaSets that could adopt an orphan."""
        pod, old = event.object, event.old
        was_orphan = old is not None and owners.controller_of(old.metadata) is None
        if old is not None and was_orphan and old.metadata.labels == pod.metadata.labels:
            return
        for candidate in self._sets.list(pod.metadata.namespace):
            if self._kind.selector(candidate).matches(pod.metadata.labels):
                yield keys.of(candidate.metadata)


def by_controller(obj: Any) -> Iterable[Hashable]:
    """Index: (namespace, uid of the controller or "")."""
    return [(obj.metadata.namespace, owners.controller_uid(obj.metadata))]


CONTROLLER = Definition(SETS.name, SETS.make)
