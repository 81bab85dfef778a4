"""Keeps an APIService for every version of a group that this server serves.

In: the kinds that are served, and the definitions and APIServices in the store. Out: writes of
APIServices. ``start`` is a part of the bootstrap; ``run`` goes on for ever and follows the
definitions, at the cost of the one that changes. What to do is decided in ``plan``. Upstream:
kube-aggregator ``autoregister``, pkg/controlplane/controller/crdregistration.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from trireme.api.apiregistration.v1.apiservice import APIService
from trireme.apiserver.aggregate import plan
from trireme.apiserver.aggregate.plan import Step
from trireme.apiserver.crd.kinds import ROOT
from trireme.apiserver.registry import Call
from trireme.apiserver.request import User
from trireme.apiserver.server import ApiServer
from trireme.apiserver.verbs import body
from trireme.machinery import errors
from trireme.machinery.meta import DeleteOptions, Preconditions
from trireme.store import contract as stores
from trireme.store.contract import KeyValue

USER = User("system:apiserver", groups=("system:masters", "system:authenticated"))
MANAGER = "kube-apiserver"
RETRY = 1.0

Version = tuple[str, str]


async def start(server: ApiServer) -> None:
    """Register what the server serves by itself, and take away what it no longer serves."""
    served = {(resource.group, resource.version) for resource in server.resources}
    wanted = {obj.metadata.name: obj for obj in plan.built_in(served)}
    there = {obj.metadata.name: obj for obj in server.reader.list(APIService)}
    async with asyncio.TaskGroup() as group:
        for name in sorted({*wanted, *there}):
            step = plan.at_start(there.get(name), wanted.get(name))
            if step is not Step.NOTHING:
                group.create_task(_do(server, step, there.get(name), wanted.get(name)))


async def run(server: ApiServer) -> None:
    """Follow the definitions, and put back what people change, for ever."""
    async with asyncio.TaskGroup() as group:
        await _Registration(server, group).run()


class _Registration:
    def __init__(self, server: ApiServer, group: asyncio.TaskGroup) -> None:
        self._server = server
        self._group = group
        # The served versions of each definition, and how many definitions serve each.
        self._served: dict[str, frozenset[Version]] = {}
        self._count: Counter[Version] = Counter()

    async def run(self) -> None:
        """Definitions are known before any APIService is judged."""
        known = self._server.store.list(ROOT)
        for item in known.items:
            self._note(item.key[len(ROOT) :])
        root = self._server.endpoint(APIService).root
        self._group.create_task(self._follow(root, self._look), name="api services")
        await self._follow(ROOT, self._definition)

    async def _follow(self, prefix: str, look: Callable[[str], Awaitable[None]]) -> None:
        """Look at all that is below a prefix, and at each change of it."""
        store = self._server.store
        seen: set[str] = set()
        while True:
            page = store.list(prefix)
            subscription = store.watch(prefix, page.revision)
            names = {item.key[len(prefix) :] for item in page.items}
            try:
                for name in sorted(names | seen):
                    await look(name)
                seen = names
                while True:
                    for event in await subscription.next():
                        await look(event.key[len(prefix) :])
            except stores.SubscriptionClosed as closed:
                if closed.reason == "store closed":
                    return
            finally:
                subscription.close()

    def _note(self, name: str) -> frozenset[Version]:
        """Note what a definition serves now; the versions that it or its former self serves."""
        definition = self._server.custom.definition(name)
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
        for version in sorted(self._note(name)):
            await self._look(plan.name(*version))

    async def _look(self, name: str) -> None:
        """One APIService: errors are told and tried again later."""
        version, _, group = name.partition(".")
        wanted = plan.custom(group, version) if self._count[group, version] > 0 else None
        current = self._server.reader.get(APIService, "", name)
        try:
            await _do(self._server, plan.later(current, wanted), current, wanted)
        except (errors.ApiError, stores.StoreUnavailable) as fault:
            self._server.env.log.warning("apiservice %s: %s", name, fault)
            self._group.create_task(self._again(name), name=f"apiservice {name}")

    async def _again(self, name: str) -> None:
        await self._server.env.clock.sleep(RETRY)
        await self._look(name)


async def _do(
    server: ApiServer, step: Step, current: APIService | None, wanted: APIService | None
) -> None:
    """One step. What changed meanwhile is looked at again when its event comes."""
    endpoint, call = server.endpoint(APIService), Call(USER, manager=MANAGER)
    try:
        if step is Step.CREATE and wanted is not None:
            body.default(endpoint, wanted)
            await server.registry.create(endpoint, "", wanted, call)
        elif step is Step.UPDATE and wanted is not None:
            spec = wanted.spec

            def change(old: APIService, item: KeyValue) -> APIService:
                old.spec = spec
                old.metadata.resourceVersion = str(item.revision)
                return old

            await server.registry.update(endpoint, "", wanted.metadata.name, change, call)
        elif step is Step.DELETE and current is not None:
            meta = current.metadata
            options = DeleteOptions(preconditions=Preconditions(uid=meta.uid))
            await server.registry.delete(endpoint, "", meta.name, options, call)
    except errors.ApiError as fault:
        if not (
            errors.is_already_exists(fault)
            or errors.is_not_found(fault)
            or errors.is_conflict(fault)
        ):
            raise
