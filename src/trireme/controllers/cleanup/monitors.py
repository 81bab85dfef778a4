"""The metadata of every object of every kind that can be deleted, as a graph.

In: discovery; the informers that other controllers have, and for all other kinds watches of their
metadata only. Out: a ``Graph`` that is kept up to date, and the uids that a change concerns. Run by
``garbage``. Kinds that come (custom resources) are watched within 30 s; those that go are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from trireme.client import discovery
from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.client.resource_interface import DELETED, ResourceInterface
from trireme.controllers.cleanup import graph
from trireme.controllers.cleanup.graph import Graph, Kind, Node
from trireme.kit import metrics
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.runtime.informer import Event, Informer, Informers

RESYNC = 30.0
# How long the first lists are waited for.
PATIENCE = 30.0
_NEEDED = frozenset(("list", "watch", "delete"))
# Events own nothing, are owned by nothing, and are many.
_IGNORED = frozenset((("", "events"), ("events.k8s.io", "events")))


class Monitors:
    """``enqueue`` is called with the uids to reconcile; not before all kinds known at the start
    have been listed, because until then an owner may merely not have been seen. ``deleted`` is
    called with each object that had dependents when the API server said that it is gone."""

    def __init__(
        self,
        client: Client,
        shared: Informers,
        env: Env,
        enqueue: Callable[[Iterable[str]], None],
        deleted: Callable[[Node], None],
    ) -> None:
        self.graph = Graph()
        self._errors = metrics.counter(
            env.metrics,
            "garbagecollector_controller_resources_sync_error_total",
            "How often it was not known what is served",
        )
        self.complete = asyncio.Event()
        self._client = client
        self._shared = shared
        self._env = env
        self._concerned = enqueue
        self._deleted = deleted
        # Of the kinds that no other controller follows.
        self._tasks: dict[Kind, asyncio.Task[None]] = {}
        self._informers: dict[Kind, Informer[Any]] = {}
        self._by_name: dict[tuple[str, str], Kind] = {}

    async def run(self) -> None:
        """Follow all kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._discover(group)
                except (errors.ApiError, OSError, Unreadable) as error:
                    self._errors.inc()
                    self._env.log.warning("what is served is not known: %s", error)
                    await self._env.clock.sleep(1.0)
                    continue
                if not self.complete.is_set():
                    await self._listed()
                    self.complete.set()
                    self._concerned(
                        [n.uid for n in self.graph.all() if n.deleting]
                        + list(self.graph.unknown_owners())
                    )
                await self._env.clock.tick(RESYNC)

    def kind(self, api_version: str, kind: str) -> Kind | None:
        """The resource that a reference names; None when nothing of that kind is served."""
        return self._by_name.get((api_version.rpartition("/")[0], kind))

    def handle(self, kind: Kind) -> ResourceInterface[meta.Object]:
        """The verbs on a resource, metadata only."""
        return self._client.metadata(kind.group, kind.version, kind.plural, kind.namespaced)

    async def _discover(self, group: asyncio.TaskGroup) -> None:
        served = await discovery.served(self._client)
        found: dict[Kind, bool] = {}
        for item in served:
            kind = Kind(item.group, item.version, item.plural, item.kind, item.namespaced)
            ignored = (item.group, item.plural) in _IGNORED
            found[kind] = item.verbs >= _NEEDED and not ignored
        self._by_name = {(kind.group, kind.kind): kind for kind in reversed(list(found))}
        desired = [kind for kind, watched in found.items() if watched]
        for kind in set(self._tasks) - set(desired):
            self._tasks.pop(kind).cancel()
            del self._informers[kind]
            for node in self.graph.all():
                if node.kind == kind:
                    self.graph.remove(node.uid)
        for kind in desired:
            if kind not in self._informers:
                self._follow(kind, group)

    async def _listed(self) -> None:
        """Wait for the first lists. A kind that cannot be listed does not hold up the others: an
        owner that was not seen is asked for before anything is deleted."""
        try:
            async with asyncio.timeout(PATIENCE):
                for informer in list(self._informers.values()):
                    await informer.synced()
        except TimeoutError:
            late = [kind.plural for kind, found in self._informers.items() if not found.is_synced]
            self._env.log.warning("not listed yet: %s", ", ".join(late))

    def _follow(self, kind: Kind, group: asyncio.TaskGroup) -> None:
        informer = self._shared.existing(kind.group, kind.plural)
        if informer is None:
            informer = Informer(
                self._client,
                self.handle(kind),
                strip=_strip,
                lists=self._shared.lists,
                env=self._env,
            )
            self._tasks[kind] = group.create_task(informer.run(), name=f"gc/{kind.plural}")
        self._informers[kind] = informer
        informer.add_handler(lambda event: self._observe(kind, event))

    def _observe(self, kind: Kind, event: Event[Any]) -> None:
        metadata = event.object.metadata
        if event.type != DELETED:
            affected = self.graph.put(graph.node(kind, metadata))
        else:
            # In a list that lacks it, it would be the cached object itself.
            stated = event.object is not event.old
            node = self.graph.get(metadata.uid)
            if stated and node is not None and self.graph.dependents(node.uid):
                self._deleted(node)
            affected = self.graph.remove(metadata.uid)
        if affected and self.complete.is_set():
            self._concerned(affected)


def _strip(obj: meta.Object) -> meta.Object:
    """What the graph needs."""
    full = obj.metadata
    obj.metadata = meta.ObjectMeta(
        name=full.name,
        namespace=full.namespace,
        uid=full.uid,
        resourceVersion=full.resourceVersion,
        deletionTimestamp=full.deletionTimestamp,
        finalizers=full.finalizers,
        ownerReferences=full.ownerReferences,
    )
    return obj
