"""Keeps an APIService for every version of a group that this server serves.

In: the kinds that are served, and the definitions and APIServices in the store. Out: writes of
APIServices. ``start`` is a part of the bootstrap; ``run`` goes on for ever and follows the
definitions, at the cost of the one that changes. What to do is decided in ``plan``. Upstream:
kube-aggregator ``autoregister``, pkg/controlplane/controller/crdregistration.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from trireme.api.apiregistration.v1.apiservice import APIService
from trireme.apiserver.aggregate import plan
from trireme.apiserver.aggregate.plan import Step
from trireme.apiserver.context import ServerContext
from trireme.apiserver.controllers.follow import Follower
from trireme.apiserver.crd.kinds import ROOT
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.machinery import errors
from trireme.machinery.meta import DeleteOptions, Preconditions
from trireme.store.contract import KeyValue

Version = tuple[str, str]


async def start(context: ServerContext) -> None:
    """Register what the server serves by itself, and take away what it no longer serves."""
    served = {(resource.group, resource.version) for resource in context.served.resources}
    desired = {obj.metadata.name: obj for obj in plan.built_in(served)}
    there = {obj.metadata.name: obj for obj in context.reader.list(APIService)}
    for name, obj in there.items():
        context.routes.record(name, obj)
    async with asyncio.TaskGroup() as group:
        for name in sorted({*desired, *there}):
            step = plan.at_start(there.get(name), desired.get(name))
            if step is not Step.NOTHING:
                group.create_task(_write(context, step, there.get(name), desired.get(name)))


async def run(context: ServerContext) -> None:
    """Follow the definitions, and put back what people change, for ever."""
    async with asyncio.TaskGroup() as group:
        await _Registration(context, group).run()


class _Registration:
    def __init__(self, context: ServerContext, group: asyncio.TaskGroup) -> None:
        self._context = context
        self._group = group
        common = context.store, context.env, group
        self._services = Follower(*common, "apiservice", self._sync)
        self._definitions = Follower(*common, "definition", self._definition)
        # The served versions of each definition, and how many definitions serve each.
        self._served: dict[str, frozenset[Version]] = {}
        self._count: Counter[Version] = Counter()

    async def run(self) -> None:
        """Definitions are known before any APIService is reconciled."""
        known = self._context.store.list(ROOT)
        for item in known.items:
            self._record(item.key[len(ROOT) :])
        root = self._context.endpoint(APIService).root
        self._group.create_task(self._services.follow(root), name="api services")
        await self._definitions.follow(ROOT)

    def _record(self, name: str) -> frozenset[Version]:
        """Note what a definition serves now; the versions that it or its former self serves."""
        definition = self._context.served.custom.definition(name)
        before = self._served.pop(name, frozenset())
        now: frozenset[Version] = frozenset()
        if definition is not None:
            spec = definition.spec
            now = frozenset((spec.group, each.name) for each in spec.versions if each.served)
            self._served[name] = now
        self._count.subtract(before)
        self._count.update(now)
        return before | now

    async def _definition(self, name: str) -> None:
        for version in sorted(self._record(name)):
            await self._services.sync(plan.name(*version))

    async def _sync(self, name: str) -> None:
        version, _, group = name.partition(".")
        desired = plan.custom(group, version) if self._count[group, version] > 0 else None
        current = self._context.reader.get(APIService, "", name)
        await _write(self._context, plan.later(current, desired), current, desired)


async def _write(
    context: ServerContext, step: Step, current: APIService | None, desired: APIService | None
) -> None:
    """One step. What changed meanwhile is looked at again when its event comes."""
    endpoint, call = context.endpoint(APIService), Call(SELF, manager=MANAGER)
    try:
        if step is Step.CREATE and desired is not None:
            endpoint.default(desired)
            await context.registry.create(endpoint, "", desired, call)
        elif step is Step.UPDATE and desired is not None:
            spec = desired.spec

            def change(_old: APIService, item: KeyValue) -> APIService:
                new: APIService = endpoint.load(item)
                new.spec = spec
                new.metadata.resourceVersion = str(item.revision)
                return new

            await context.registry.update(endpoint, "", desired.metadata.name, change, call)
        elif step is Step.DELETE and current is not None:
            meta = current.metadata
            options = DeleteOptions(preconditions=Preconditions(uid=meta.uid))
            await context.registry.delete(endpoint, "", meta.name, options, call)
    except errors.ApiError as error:
        if not errors.is_race_lost(error):
            raise
