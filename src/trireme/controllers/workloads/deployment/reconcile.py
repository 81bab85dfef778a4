"""Deployments: roll a pod template out over ReplicaSets.

In: Deployments, ReplicaSets, pods. Out: ReplicaSets made, scaled, adopted and deleted; status;
events. Decisions are in ``plan``. Run by ``manager``. Upstream: pkg/controller/deployment;
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.workloads import claims
from trireme.controllers.workloads.deployment import compute_status, plan
from trireme.controllers.workloads.owned_pods import by_controller
from trireme.domain import adoption, owners, templates
from trireme.machinery import errors, labels
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.written import WAIT, Written


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return Deployments(context).loop


class Deployments:
    """The informers and the executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._deployments = context.informers.of(Deployment)
        self._sets = context.informers.of(ReplicaSet)
        self._pods = context.informers.of(Pod)
        self._written = Written(self._clock)
        self._sets.add_index(by_controller)
        self._pods.add_index(by_controller)
        self.loop = Controller(
            "deployment",
            self.reconcile,
            context.env,
            triggers=[
                (self._deployments, triggers.own()),
                (self._sets, self._of_set),
                (self._pods, self._of_pod),
            ],
            workers=context.settings.workers.deployment,
        )

    async def reconcile(self, key: Key) -> After | None:
        """One step for one Deployment."""
        found = self._deployments.get(*key)
        if found is None:
            self._written.forget(key)
            return None
        if not self._written.visible(key):
            # With an older ReplicaSet there would be more pods than the surge allows.
            return WAIT
        selector = labels.from_struct(found.spec.selector)
        if selector.empty():
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self._events.event(found, recorder.WARNING, "SelectingAll", message)
            return None
        sets = await self._claim(found, selector)
        pods = self._pods_of(sets) if found.spec.strategy.type == "Recreate" else {}
        planned = plan.plan(found, sets, pods, self._clock.now())
        for action in planned.actions:
            await self._do(found, action)
        await self._write(found, planned.deployment)
        return None if planned.revisit is None else After(planned.revisit)

    async def _claim(self, found: Deployment, selector: labels.Selector) -> list[ReplicaSet]:
        namespace = found.metadata.namespace
        candidates = self._sets.by_index(by_controller, (namespace, found.metadata.uid))
        candidates += self._sets.by_index(by_controller, (namespace, ""))
        return await claims.adopt_and_release(
            self._client, found, adoption.claim(found, selector, candidates)
        )

    def _pods_of(self, sets: list[ReplicaSet]) -> dict[str, list[Pod]]:
        return {
            item.metadata.uid: self._pods.by_index(
                by_controller, (item.metadata.namespace, item.metadata.uid)
            )
            for item in sets
        }

    async def _write(self, found: Deployment, desired: Deployment) -> None:
        """Status and annotations in one write, if they differ: a status write carries both."""
        same_notes = desired.metadata.annotations == found.metadata.annotations
        if desired.status == found.status and same_notes:
            return
        try:
            await self._client.update(desired, subresource="status")
        except errors.ApiError as error:
            # Deleted meanwhile: there is no status to write.
            if not errors.is_not_found(error):
                raise

    async def _do(self, found: Deployment, action: plan.Action) -> None:
        match action:
            case plan.Create(replica_set, note):
                await self._create(found, replica_set, note)
            case plan.Update(replica_set, notes):
                self._wrote(found, await self._client.update(replica_set))
                for note in notes:
                    self._events.event(found, recorder.NORMAL, "ScalingReplicaSet", note)
            case plan.Delete(replica_set):
                metadata = replica_set.metadata
                try:
                    await self._client.delete(ReplicaSet, metadata.name, metadata.namespace)
                except errors.ApiError as error:
                    if not errors.is_not_found(error):
                        raise

    async def _create(self, found: Deployment, replica_set: ReplicaSet, note: str) -> None:
        metadata = msgspec.structs.replace(replica_set.metadata, creationTimestamp=None)
        try:
            made = msgspec.structs.replace(replica_set, metadata=metadata)
            self._wrote(found, await self._client.create(made))
        except errors.ApiError as error:
            if errors.is_already_exists(error):
                if await self._is_ours(found, replica_set):
                    # Created before; the cache lacks it yet.
                    return
                await self._collided(found)
            elif not errors.is_namespace_terminating(error):
                await self._failed(found, replica_set.metadata.name, error)
            raise
        if note:
            self._events.event(found, recorder.NORMAL, "ScalingReplicaSet", note)

    def _wrote(self, found: Deployment, stored: ReplicaSet) -> None:
        self._written.wrote(keys.of(found.metadata), self._sets, stored)

    async def _is_ours(self, found: Deployment, replica_set: ReplicaSet) -> bool:
        metadata = replica_set.metadata
        there = await self._client.get(ReplicaSet, metadata.name, metadata.namespace)
        return owners.controls(found, there.metadata) and templates.same(
            there.spec.template, found.spec.template
        )

    async def _collided(self, found: Deployment) -> None:
        """Another template hashed to the same name: increment status.collisionCount."""
        count = (found.status.collisionCount or 0) + 1
        status = msgspec.structs.replace(found.status, collisionCount=count)
        await self._write(found, msgspec.structs.replace(found, status=status))

    async def _failed(self, found: Deployment, name: str, error: errors.ApiError) -> None:
        message = f'Failed to create new replica set "{name}": {error}'
        self._events.event(found, recorder.WARNING, "ReplicaSetCreateError", message)
        failed = compute_status.progress(
            found, "False", "ReplicaSetCreateError", message, self._clock.now()
        )
        await self._write(found, failed)

    def _of_set(self, event: Event[ReplicaSet]) -> Iterable[Key]:
        """The Deployment of a ReplicaSet, or those that could adopt it."""
        found = dict.fromkeys(_OWNER(event))
        metadata = event.object.metadata
        if event.type != DELETED and owners.controller_of(metadata) is None:
            for candidate in self._deployments.list(metadata.namespace):
                if labels.from_struct(candidate.spec.selector).matches(metadata.labels):
                    found[keys.of(candidate.metadata)] = None
        return found

    def _of_pod(self, event: Event[Pod]) -> Iterable[Key]:
        """The Deployment of a deleted pod, if its strategy is Recreate."""
        if event.type != DELETED:
            return ()
        reference = owners.controller_of(event.object.metadata)
        if reference is None or reference.kind != "ReplicaSet":
            return ()
        namespace = event.object.metadata.namespace
        replica_set = self._sets.get(namespace, reference.name)
        owner = owners.controller_of(replica_set.metadata) if replica_set is not None else None
        deployment = self._deployments.get(namespace, owner.name) if owner is not None else None
        if deployment is None or deployment.spec.strategy.type != "Recreate":
            return ()
        return [keys.of(deployment.metadata)]


_OWNER = triggers.controller("Deployment", "apps")


CONTROLLER = Definition("deployment-controller", make)
