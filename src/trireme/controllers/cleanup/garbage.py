"""The garbage collector: deletes what lost its owners.

In: the graph of all objects (``monitors``). Out: deletions; owner references and finalizers taken
away. Decisions are in ``plan_garbage``. Run by ``manager``. Upstream: pkg/controller/
garbagecollector; https://kubernetes.io/docs/concepts/architecture/garbage-collection/. That an
owner is absent counts only when the API server says so, in an answer or in the event of its
deletion, never because a cache lacks it. What the graph says of the object itself is enough: it is
deleted at that resourceVersion and at no other.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

from trireme.api.core.v1.references import ObjectReference
from trireme.controllers.cleanup import graph, plan_garbage
from trireme.controllers.cleanup.graph import FOREGROUND, ORPHAN, Kind, Node
from trireme.controllers.cleanup.monitors import Monitors
from trireme.controllers.cleanup.plan_garbage import Owner
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors, meta
from trireme.machinery.meta import ObjectMeta, OwnerReference
from trireme.runtime import recorder
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key

ABSENT_CACHE_SIZE = 500
# Seconds until an object is reconciled again whose owner exists but is not in the graph yet.
RECHECK_SECONDS = 5.0


class NotServed(Exception):
    """An owner's kind is not served: the owner may be there or not."""


class _Impossible(Exception):
    """A cluster-scoped object names a namespaced owner."""


def make(context: ControllerContext) -> GarbageCollector | None:
    """The collector, with its graph and workers; None where nothing is to be collected."""
    return GarbageCollector(context) if context.settings.garbage_collection else None


class GarbageCollector:
    """Keys of the queue are uids."""

    def __init__(self, context: ControllerContext) -> None:
        self._events = context.recorder
        self._env = context.env
        self._monitors = Monitors(
            context.client, context.informers, context.env, self._enqueue, self._deleted
        )
        self._graph = self._monitors.graph
        self._absent: OrderedDict[tuple[str, ...], None] = OrderedDict()
        workers = context.settings.workers.garbage_collector
        self._loop = Controller(
            "garbage_collector_attempt_to_delete", self.reconcile, context.env, workers=workers
        )

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._monitors.run())
            await self._monitors.complete.wait()
            group.create_task(self._loop.run())

    async def reconcile(self, key: Key) -> After | None:
        """Delete the object of this uid if it lost its owners; else work off its finalizers."""
        node = self._graph.get(key.name)
        if node is None:
            return None
        if node.orphans:
            await self._orphan_dependents(node)
        elif node.waits:
            await self._process_foreground(node)
        elif not node.deleting and node.owners:
            return await self._attempt_to_delete(node)
        return None

    def _deleted(self, node: Node) -> None:
        """A uid is never used again: its owner references dangle from now on."""
        kind = node.kind
        self._note_absent((kind.group, kind.kind, node.namespace, node.name, node.uid))

    def _note_absent(self, identity: tuple[str, ...]) -> None:
        self._absent[identity] = None
        if len(self._absent) > ABSENT_CACHE_SIZE:
            self._absent.popitem(last=False)

    def _enqueue(self, uids: Iterable[str]) -> None:
        for uid in uids:
            self._loop.queue.add(Key("", uid))

    async def _orphan_dependents(self, node: Node) -> None:
        """Take the owner reference away from its dependents, then its own finalizer."""
        for dependent in self._graph.dependents(node.uid):
            latest = await self._latest(dependent)
            if latest is None:
                continue
            kept = [item for item in latest.owners if item.uid != node.uid]
            if len(kept) != len(latest.owners):
                await self._write(latest, {"ownerReferences": kept})
        await self._release(node, ORPHAN)

    async def _process_foreground(self, node: Node) -> None:
        """Foreground deletion: take the finalizer away once no dependent blocks; else enqueue
        those."""
        blocking = self._graph.blocking(node.uid)
        if not blocking:
            await self._release(node, FOREGROUND)
            return
        self._enqueue(item.uid for item in blocking if not item.waits)

    async def _attempt_to_delete(self, node: Node) -> After | None:
        """Delete it if the API server knows none of its owners."""
        try:
            return await self._delete_dangling(node)
        except errors.ApiError as error:
            if not errors.is_conflict(error):
                raise
        # It changed: as the API server has it now.
        latest = await self._latest(node)
        return None if latest is None else await self._delete_dangling(latest)

    async def _delete_dangling(self, node: Node) -> After | None:
        if not node.owners:
            return None
        self._warn(node)
        states = []
        unobserved = False
        for reference in node.owners:
            try:
                states.append((reference, await self._state(node, reference)))
            except _Impossible:
                return None
            unobserved = unobserved or self._graph.get(reference.uid) is None
        dependents = self._graph.dependents(node.uid)
        verdict = plan_garbage.plan_deletion(
            states,
            node.finalizers,
            dependents=bool(dependents),
            dependent_waits=any(item.waits for item in dependents),
        )
        match verdict:
            case plan_garbage.Keep(None):
                return After(RECHECK_SECONDS) if unobserved else None
            case plan_garbage.Keep(owners):
                await self._write(node, {"ownerReferences": owners})
            case plan_garbage.Delete(policy, owners):
                present: Node | None = node
                if owners is not None:
                    present = await self._write(node, {"ownerReferences": owners})
                if present is not None:
                    await self._delete(present, policy)
        return None

    async def _state(self, node: Node, reference: OwnerReference) -> Owner:
        """What is known of an owner: by the graph if it is there, else by the API server."""
        known = self._graph.get(reference.uid)
        if known is not None and graph.names(reference, node, known):
            return Owner.WAITING if known.waits else Owner.SOLID
        kind = self._monitors.kind(reference.apiVersion, reference.kind)
        if kind is None:
            raise NotServed(f"{node}: its owner's kind {reference.kind} is not served")
        if kind.namespaced and not node.namespace:
            raise _Impossible
        namespace = node.namespace if kind.namespaced else ""
        identity = (kind.group, kind.kind, namespace, reference.name, reference.uid)
        if identity in self._absent:
            self._absent.move_to_end(identity)
            return Owner.DANGLING
        owner = await self._get(kind, namespace, reference.name)
        if owner is None or owner.uid != reference.uid:
            self._note_absent(identity)
            return Owner.DANGLING
        waits = owner.deletionTimestamp is not None and FOREGROUND in owner.finalizers
        return Owner.WAITING if waits else Owner.SOLID

    def _warn(self, node: Node) -> None:
        """An event for each owner reference into another namespace: the object gets deleted."""
        for reference in self._graph.mismatched(node):
            owner = self._graph.get(reference.uid)
            if owner is None or owner.namespace in ("", node.namespace):
                continue
            stated = f"{reference.apiVersion}/{reference.kind}, namespace: {node.namespace}"
            self._events.event(
                _about(node),
                recorder.WARNING,
                "OwnerRefInvalidNamespace",
                f"ownerRef [{stated}, name: {reference.name}, uid: {reference.uid}] does not exist "
                f'in namespace "{node.namespace}"',
            )

    async def _latest(self, node: Node) -> Node | None:
        """It as the API server has it; None when it is gone or another."""
        found = await self._get(node.kind, node.namespace, node.name)
        if found is None or found.uid != node.uid:
            return None
        return graph.node(node.kind, found)

    async def _get(self, kind: Kind, namespace: str, name: str) -> ObjectMeta | None:
        try:
            return (await self._monitors.handle(kind).get(name, namespace)).metadata
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return None
            raise

    async def _delete(self, node: Node, policy: str) -> None:
        """Delete it, if it did not change since it was read."""
        options = meta.DeleteOptions(
            propagationPolicy=policy,
            preconditions=meta.Preconditions(uid=node.uid, resourceVersion=node.version),
        )
        try:
            await self._monitors.handle(node.kind).delete(node.name, node.namespace, options)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    async def _release(self, node: Node, finalizer: str) -> None:
        """Take away the finalizer that kept it."""
        latest = await self._latest(node)
        if latest is not None and finalizer in latest.finalizers:
            kept = [item for item in latest.finalizers if item != finalizer]
            await self._write(latest, {"finalizers": kept})

    async def _write(self, node: Node, change: dict[str, object]) -> Node | None:
        """Change its metadata, if nobody did since; None when it is gone."""
        guard = {"uid": node.uid, "resourceVersion": node.version}
        handle = self._monitors.handle(node.kind)
        try:
            patched = await handle.patch(node.name, node.namespace, {"metadata": guard | change})
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return None
            raise
        return graph.node(node.kind, patched.metadata)


def _about(node: Node) -> ObjectReference:
    return ObjectReference(
        kind=node.kind.kind,
        apiVersion=node.kind.api_version,
        namespace=node.namespace,
        name=node.name,
        uid=node.uid,
    )


CONTROLLER = Definition(
    "garbage-collector-controller",
    make,
    account="generic-garbage-collector",
    component="garbage-collector-controller",
)
