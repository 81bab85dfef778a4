"""Keeps the status of definitions, and takes their instances away with them.

In: the definitions in the store and every change of them. Out: writes of their status; deletions of
instances, then of the finalizer that held the definition. Level-triggered: each look computes from
what is there. Started by ``run``. Upstream: apiextensions-apiserver pkg/controller.
"""

from __future__ import annotations

import asyncio
from typing import Any

from trireme.api.apiextensions.v1 import types
from trireme.api.apiextensions.v1.types import CLEANUP, CustomResourceDefinition
from trireme.apiserver.context import ServerContext
from trireme.apiserver.controllers import decide_definition as decide
from trireme.apiserver.controllers import follow
from trireme.apiserver.controllers.follow import Follower
from trireme.apiserver.crd.definition import Definition
from trireme.apiserver.crd.kinds import ROOT
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.machinery import errors, time
from trireme.machinery.meta import DeleteOptions
from trireme.store import contract as stores
from trireme.store.contract import KeyValue

# How long the instances of a definition may take to go before the definition says so.
TIMEOUT = 60.0


async def run(context: ServerContext) -> None:
    """Look at every definition, and again whenever one changes, for ever."""
    async with asyncio.TaskGroup() as group:
        await _Lifecycle(context, group).run()


class _Lifecycle:
    def __init__(self, context: ServerContext, group: asyncio.TaskGroup) -> None:
        self._context = context
        self._group = group
        self._known: dict[str, Definition] = {}
        self._by_group: dict[str, set[str]] = {}
        self._deleting: set[str] = set()

    async def run(self) -> None:
        context, what = self._context, "customresourcedefinition"
        await Follower(context.store, context.env, self._group, what, self._sync).follow(ROOT)

    async def _sync(self, name: str) -> None:
        context = self._context
        # What is served follows first: who sees Established is served.
        context.served.custom.lookup(name)
        item = context.store.get(ROOT + name)
        known = self._known.get(name)
        if item is None:
            if known is not None:
                self._forget(name, known)
                await self._sync_others(name, known.spec.group)
            return
        if known is not None and known.revision == item.revision and known.is_synced():
            return
        definition = Definition(item.value, item.revision)
        self._remember(name, definition)
        if definition.meta.deletionTimestamp is not None:
            if CLEANUP in definition.meta.finalizers and name not in self._deleting:
                self._deleting.add(name)
                self._group.create_task(self._delete_all(name), name=f"instances of {name}")
            return
        if definition.is_synced():
            return
        await self._write(name, self._compute)
        released = known is not None and known.names != self._known[name].names
        if released:
            await self._sync_others(name, definition.spec.group)

    def _remember(self, name: str, definition: Definition) -> None:
        self._known[name] = definition
        self._by_group.setdefault(definition.spec.group, set()).add(name)

    def _forget(self, name: str, definition: Definition) -> None:
        del self._known[name]
        self._by_group[definition.spec.group].discard(name)

    async def _sync_others(self, name: str, group: str) -> None:
        """A name may have become free: those that wait for one try again."""
        for other in sorted(self._by_group.get(group, ())):
            if other != name and not self._known[other].is_synced():
                await self._write(other, self._compute)

    def _compute(self, obj: CustomResourceDefinition, now: str) -> None:
        resources: set[str] = set()
        kinds: set[str] = set()
        for other in self._by_group.get(obj.spec.group, ()):
            if other != obj.metadata.name:
                taken = self._known[other].names
                resources.update((taken.plural, taken.singular, *taken.shortNames))
                kinds.update((taken.kind, taken.listKind))
        decide.sync_status(obj, resources, kinds, now)

    async def _write(self, name: str, change: Any) -> None:
        """Change the status of a definition that is still there."""
        context = self._context
        endpoint = context.endpoint(CustomResourceDefinition)
        now = time.format(context.env.clock.now())

        def changed(_old: Any, item: KeyValue) -> Any:
            new = endpoint.load(item)
            change(new, now)
            new.metadata.resourceVersion = ""
            return new

        call = Call(SELF, any_version=True, manager=MANAGER)
        try:
            item, _ = await context.registry.update(endpoint, "", name, changed, call, "status")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
            return
        if context.store.get(item.key) is not None:
            self._remember(name, Definition(item.value, item.revision))
            context.served.custom.lookup(name)

    async def _delete_all(self, name: str) -> None:
        """Delete the instances of a definition, then let it go."""
        try:
            while True:
                try:
                    await self._try_delete_all(name)
                    return
                except (errors.ApiError, stores.StoreUnavailable) as error:
                    self._context.env.log.warning("instances of %s: %s", name, error)
                    await self._context.env.clock.sleep(follow.RETRY)
        finally:
            self._deleting.discard(name)

    async def _try_delete_all(self, name: str) -> None:
        kind = self._context.served.custom.lookup(name)
        if kind is None:
            return
        if not kind.definition.is_true(types.ESTABLISHED):
            await self._finish(name, "NeverEstablished", "resource was never established")
            return
        await self._set_terminating(
            name, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
        )
        if await self._delete_instances(kind.hub()):
            await self._finish(name, "InstanceDeletionCompleted", "removed all instances")
            return
        message = (
            "could not confirm zero CustomResources remaining: timed out waiting for the condition"
        )
        await self._set_terminating(name, "True", "InstanceDeletionCheck", message)
        raise errors.internal_error(message)

    async def _delete_instances(self, hub: Any) -> bool:
        """Whether all have gone in time."""
        context, prefix = self._context, hub.prefix("")
        page = context.store.list(prefix)
        subscription = context.store.watch(prefix, page.revision)
        try:
            for item in page.items:
                meta = hub.load(item).metadata
                try:
                    await context.registry.delete(
                        hub, meta.namespace, meta.name, DeleteOptions(), Call(SELF)
                    )
                except errors.ApiError as error:
                    if not errors.is_not_found(error):
                        raise
            clock = context.env.clock
            end = clock.monotonic() + TIMEOUT
            while context.store.count(prefix):
                try:
                    async with asyncio.timeout(end - clock.monotonic()):
                        await subscription.next()
                except TimeoutError:
                    return False
            return True
        finally:
            subscription.close()

    async def _set_terminating(self, name: str, status: str, reason: str, message: str) -> None:
        def change(obj: CustomResourceDefinition, now: str) -> None:
            decide.terminating(obj, status, reason, message, now)

        await self._write(name, change)

    async def _finish(self, name: str, reason: str, message: str) -> None:
        def change(obj: CustomResourceDefinition, now: str) -> None:
            decide.terminating(obj, "False", reason, message, now)
            kept = [item for item in obj.metadata.finalizers if item != CLEANUP]
            obj.metadata.finalizers = kept

        await self._write(name, change)
