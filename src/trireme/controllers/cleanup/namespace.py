"""Namespaces that are deleted: everything in them goes first.

In: namespaces, discovery, pods. Out: deletions of all that is in a namespace, pods first; its
conditions; its finalizer taken away at the end. Conditions are in ``plan_namespace``. Run by
``manager``. Upstream: pkg/controller/namespace; KEP-5080 (ordered deletion).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trireme.api.core.v1.namespace import FINALIZER, Namespace
from trireme.api.core.v1.pod.pod import Pod
from trireme.client import discovery
from trireme.client.codec import Unreadable
from trireme.client.resource_interface import DELETED, ResourceInterface
from trireme.client.served import Served
from trireme.controllers.cleanup import plan_namespace
from trireme.controllers.cleanup.plan_namespace import Left, Progress
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors, meta, time
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key

_BACKGROUND = meta.DeleteOptions(propagationPolicy="Background")


class ResourcesRemaining(Exception):
    """Some resources could not be deleted; the text names them and the errors."""


def make(context: ControllerContext) -> Controller:
    """The control loop. When a pod is deleted, its terminating namespace is reconciled at once."""
    deleter = ResourcesDeleter(context)
    namespaces = context.informers.of(Namespace)
    pods = context.informers.of(Pod)

    def ending(key: Key) -> Iterable[Key]:
        found = namespaces.get("", key.namespace)
        if found is not None and found.metadata.deletionTimestamp is not None:
            yield Key("", key.namespace)

    gone = triggers.only(lambda event: event.type == DELETED, lambda event: ending(event.key))
    return Controller(
        "namespace",
        deleter.reconcile,
        context.env,
        triggers=[(namespaces, triggers.own()), (pods, gone)],
        workers=context.settings.workers.namespace,
    )


class ResourcesDeleter:
    """Deletes what is in a namespace, step by step."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._namespaces = context.informers.of(Namespace)
        self._clock = context.env.clock
        self._delay = context.settings.namespace_delay
        self._sync = context.settings.namespace_sync

    async def reconcile(self, key: Key) -> After | None:
        """Delete all content, write what remains to the status, finalize once nothing does."""
        cached = self._namespaces.get("", key.name)
        if cached is None or cached.metadata.deletionTimestamp is None:
            return None
        early = time.parse(cached.metadata.deletionTimestamp) + self._delay - self._clock.now()
        if early > 0:
            return After(early)
        found = await self._get(key.name)
        if found is None or found.metadata.deletionTimestamp is None:
            return None
        if FINALIZER not in found.spec.finalizers:
            return After(self._sync)
        progress = await self._delete_all_content(found)
        found = await self._update_status(found, progress)
        if progress.failures or progress.discovery:
            raise ResourcesRemaining(
                "; ".join([*progress.failures, progress.discovery]).strip("; ")
            )
        if progress.remaining:
            return After(progress.seconds / 2 + 1)
        await self._finalize(found)
        return None

    async def _get(self, name: str) -> Namespace | None:
        try:
            return await self._client.get(Namespace, name)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return None
            raise

    async def _delete_all_content(self, found: Namespace) -> Progress:
        """Delete pods; when none is left, everything else."""
        name = found.metadata.name
        try:
            served = await discovery.served(self._client)
        except (errors.ApiError, Unreadable) as error:
            return Progress(discovery=str(error))
        content = [item for item in served if item.namespaced and "delete" in item.verbs]
        grace = await self._grace(found)
        left: list[Left] = []
        failures: list[str] = []
        pods = [item for item in content if (item.group, item.plural) == ("", "pods")]
        for item in pods:
            await self._delete_resource(item, name, grace, left, failures)
        if any(item.count for item in left) or failures:
            return Progress(left, failures)
        for item in content:
            if item not in pods:
                await self._delete_resource(item, name, 0.0, left, failures)
        return Progress(left, failures)

    async def _grace(self, found: Namespace) -> float:
        """How long the pods may still take."""
        name = found.metadata.name
        listed = (await self._client.list(Pod, name)).items
        longest = max((p.spec.terminationGracePeriodSeconds or 0 for p in listed), default=0)
        began = time.parse(found.metadata.deletionTimestamp or "")
        over = self._clock.now() - began >= longest
        return 0.0 if over else float(longest)

    async def _delete_resource(
        self, item: Served, name: str, grace: float, left: list[Left], failures: list[str]
    ) -> None:
        """Delete all of one resource, and note what is left."""
        label = f"{item.plural}.{item.group}"
        handle = self._client.metadata(item.group, item.version, item.plural)
        try:
            rest = await self._delete_objects(handle, item, name)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                failures.append(str(error))
            return
        note = plan_namespace.left_of(label, [o.metadata.finalizers for o in rest], grace)
        left.append(note)

    async def _delete_objects(
        self, handle: ResourceInterface[meta.Object], item: Served, name: str
    ) -> list[meta.Object]:
        if "list" not in item.verbs:
            return []
        listed = (await handle.list(name)).items
        if not listed:
            # Most resources of most namespaces: nothing to write.
            return []
        if "deletecollection" in item.verbs:
            await handle.delete_collection(name, options=_BACKGROUND)
        else:
            for obj in listed:
                try:
                    await handle.delete(obj.metadata.name, name, _BACKGROUND)
                except errors.ApiError as error:
                    if not errors.is_not_found(error):
                        raise
        return (await handle.list(name)).items

    async def _update_status(self, found: Namespace, progress: Progress) -> Namespace:
        conditions = plan_namespace.conditions(found.status.conditions, progress, self._clock.now())
        status = msgspec.structs.replace(found.status, phase="Terminating", conditions=conditions)
        if status == found.status:
            return found
        changed = msgspec.structs.replace(found, status=status)
        return await self._client.update(changed, subresource="status")

    async def _finalize(self, found: Namespace) -> None:
        """Remove the finalizer ``kubernetes``; after the last one the namespace is deleted."""
        kept = [item for item in found.spec.finalizers if item != FINALIZER]
        spec = msgspec.structs.replace(found.spec, finalizers=kept)
        try:
            await self._client.update(
                msgspec.structs.replace(found, spec=spec), subresource="finalize"
            )
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise


CONTROLLER = Definition("namespace-controller", make)
