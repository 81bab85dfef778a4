"""StatefulSets: pods with names and claims of their own, created, updated and deleted in order.

In: StatefulSets, pods, claims, ControllerRevisions. Out: writes of pods, claims and revisions;
status; events. Decisions are in ``plan``. Run by ``manager``. Upstream: pkg/controller/statefulset;
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from trireme.api.apps.v1.statefulset_types import StatefulSet, StatefulSetStatus
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import MODIFIED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.workloads import batches
from trireme.controllers.workloads.history.revisions import History
from trireme.controllers.workloads.owned_pods import OwnedPods
from trireme.controllers.workloads.statefulset import compute_claims, compute_pods, plan
from trireme.controllers.workloads.statefulset.plan import Action, Correct, Create, Delete, Observed
from trireme.machinery import errors
from trireme.machinery.meta import DeleteOptions, Preconditions
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.pace import Pace
from trireme.runtime.written import WAIT, Written

# A look at so many pods is worth waiting a second for more to happen.
PODS_PER_SECOND = 10_000


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return StatefulSets(context).loop


class StatefulSets:
    """The caches and the executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._written = Written(context.env.clock, context.env.metrics, "statefulset_controller")
        self._pace = Pace(context.env.clock)
        self._sets = context.informers.of(StatefulSet)
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._history = History(context, self._written)
        self._owned = OwnedPods(
            self._sets, self._pods, StatefulSet, self._written, fits=compute_pods.is_member
        )
        workers = context.settings.workers.statefulset
        self.loop = Controller("statefulset", self.reconcile, context.env, workers=workers)
        self.loop.watch(self._sets, triggers.own())
        self.loop.watch(self._pods, self._owned.concerned, self._pace.delay)
        self.loop.watch(self._claims, self._of_claim, self._pace.delay)
        # Not what wakes it up, but what has to be there first.
        self.loop.watch(self._history.informer, lambda event: ())

    async def reconcile(self, key: Key) -> After | None:
        """One step for one StatefulSet."""
        found = self._sets.get(*key)
        if found is None:
            self._written.forget(key)
            self._pace.forget(key)
            return None
        if not self._written.visible(key):
            return WAIT
        revisions = await self._history.claim(found)
        owned = await self._owned.claim(self._client, found)
        self._pace.looked(key, len(owned) / PODS_PER_SECOND)
        if found.metadata.deletionTimestamp is not None and not revisions:
            # They go with it; no others are made.
            return None
        update, collisions = await self._history.current(found, revisions)
        named = (item for item in revisions if item.metadata.name == found.status.currentRevision)
        current = next(named, update)
        observed = Observed(owned, self._claims_of(found, owned), current, update, collisions)
        planned = plan.plan(found, observed, self._clock.now())
        failure = await self._act(found, planned)
        await self._report(found, planned.status)
        if failure is not None:
            raise failure
        live = {current.metadata.name, update.metadata.name, *map(compute_pods.revision_of, owned)}
        await self._history.truncate(found, revisions, live)
        return None if planned.revisit is None else After(planned.revisit)

    def _claims_of(self, found: StatefulSet, owned: list[Pod]) -> dict[str, PersistentVolumeClaim]:
        """The claims of its pods that are there, by name."""
        if not found.spec.volumeClaimTemplates:
            return {}
        first = compute_pods.start(found)
        ordinals = {*range(first, first + compute_pods.replicas(found))}
        ordinals |= set(map(compute_pods.ordinal, owned))
        names = (name for number in ordinals for name in compute_claims.names(found, number))
        there = ((name, self._claims.get(found.metadata.namespace, name)) for name in names)
        return {name: claim for name, claim in there if claim is not None}

    async def _act(self, found: StatefulSet, planned: plan.Plan) -> Exception | None:
        """Do the batches until one fails; its first error."""
        for batch in planned.batches:
            _, failure = await batches.slow_start(len(batch), self._each(found, batch))
            if failure is not None:
                return failure
        return None

    def _each(self, found: StatefulSet, batch: list[Action]) -> Callable[[], Awaitable[None]]:
        """One action of the batch after the other, each time it is called."""
        ahead = iter(batch)
        return lambda: self._do(found, next(ahead))

    async def _do(self, found: StatefulSet, action: Action) -> None:
        match action:
            case Create(pod):
                await self._create(found, action)
            case Delete(pod):
                await self._with_event(found, "Delete", pod, self._delete(found, pod))
            case Correct():
                await self._correct(found, action)

    async def _create(self, found: StatefulSet, action: Create) -> None:
        pod = action.pod

        async def create() -> None:
            await self._create_claims(found, pod, action.claims, action.problem)
            made = await self._client.create(pod)
            self._written.wrote(keys.of(found.metadata), self._pods, made)

        await self._with_event(found, "Create", pod, create())

    async def _correct(self, found: StatefulSet, action: Correct) -> None:
        pod = action.pod
        for name in action.conflicts:
            message = (
                f"PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a "
                "manging controller, the retention policy is ignored for this claim"
            )
            self._events.event(found, recorder.WARNING, "ConflictingController", message)
        try:
            await self._create_claims(found, pod, action.create, action.problem)
            for claim in action.update:
                stored = await self._client.update(claim)
                self._written.wrote(keys.of(found.metadata), self._claims, stored)
        except errors.ApiError as error:
            self._record(found, "Update", pod, error)
            raise
        if action.changed:
            await self._with_event(found, "Update", pod, self._update(found, pod))

    async def _create_claims(
        self, found: StatefulSet, pod: Pod, claims: list[PersistentVolumeClaim], problem: str
    ) -> None:
        for claim in claims:
            name = f"Claim {claim.metadata.name}"
            try:
                stored = await self._client.create(claim)
            except errors.ApiError as error:
                if errors.is_already_exists(error):
                    continue
                about = f"Create {name} for Pod {pod.metadata.name} in StatefulSet"
                message = f"{about} {found.metadata.name} failed error: {error}"
                self._events.event(found, recorder.WARNING, "FailedCreate", message)
                raise
            self._written.wrote(keys.of(found.metadata), self._claims, stored)
            about = f"Create {name} Pod {pod.metadata.name} in StatefulSet"
            message = f"{about} {found.metadata.name} success"
            self._events.event(found, recorder.NORMAL, "SuccessfulCreate", message)
        if problem:
            raise errors.conflict("pods", pod.metadata.name, problem)

    async def _delete(self, found: StatefulSet, pod: Pod) -> None:
        """Delete this very pod: another may have its name by now."""
        options = DeleteOptions(preconditions=Preconditions(uid=pod.metadata.uid))
        metadata = pod.metadata
        try:
            await self._client.delete(Pod, metadata.name, metadata.namespace, options)
        except errors.ApiError as error:
            if not errors.is_not_found(error) and not errors.is_conflict(error):
                raise
        self._written.deleted(keys.of(found.metadata), self._pods, pod)

    async def _update(self, found: StatefulSet, pod: Pod) -> None:
        stored = await self._client.update(pod)
        self._written.wrote(keys.of(found.metadata), self._pods, stored)

    async def _with_event(self, found: StatefulSet, verb: str, pod: Pod, work: Any) -> None:
        """Do it, and say in an event what came of it."""
        try:
            await work
        except errors.ApiError as error:
            # The pod is there and the cache is late; or its namespace is about to go.
            if not errors.is_already_exists(error) and not errors.is_namespace_terminating(error):
                self._record(found, verb, pod, error)
            raise
        self._record(found, verb, pod)

    def _record(
        self, found: StatefulSet, verb: str, pod: Pod, error: Exception | None = None
    ) -> None:
        message = f"{verb} Pod {pod.metadata.name} in StatefulSet {found.metadata.name}"
        if error is None:
            text = f"{message} successful"
            self._events.event(found, recorder.NORMAL, f"Successful{verb}", text)
        else:
            text = f"{message} failed error: {error}"
            self._events.event(found, recorder.WARNING, f"Failed{verb}", text)

    async def _report(self, found: StatefulSet, status: StatefulSetStatus) -> None:
        if status == found.status:
            return
        changed = msgspec.structs.replace(found, status=status)
        try:
            stored = await self._client.update(changed, subresource="status")
        except errors.ApiError as error:
            # It went in the meantime; there is nothing left to tell.
            if not errors.is_not_found(error):
                raise
        else:
            self._written.wrote(keys.of(found.metadata), self._sets, stored)

    def _of_claim(self, event: Event[PersistentVolumeClaim]) -> Iterable[Key]:
        """The StatefulSets whose claim it may be: a name is ``<template>-<set>-<ordinal>``."""
        metadata = event.object.metadata
        if event.type == MODIFIED and event.old is not None:
            before = event.old.metadata
            if (before.ownerReferences, before.deletionTimestamp) == (
                metadata.ownerReferences,
                metadata.deletionTimestamp,
            ):
                return
        name, number = compute_pods.split(metadata.name)
        while number >= 0 and "-" in name:
            _, _, name = name.partition("-")
            if self._sets.get(metadata.namespace, name) is not None:
                yield Key(metadata.namespace, name)


CONTROLLER = Definition("statefulset-controller", make)
