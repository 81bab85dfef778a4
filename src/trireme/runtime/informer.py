"""Informers: the objects of a kind, kept in memory and up to date, and handlers of changes.

In: the events of a ``client.watcher``. Out: a cache to read without waiting, and calls of handlers
with an ``Event``: the cache is changed first, then the handlers are called, in the order in which
they were added. Made by ``Informers``, one for each kind and selection of a component.

Objects in the cache are shared by all readers: never change one, copy it (``msgspec.structs``) or
get a fresh one from the client.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Hashable, Iterable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.client import watcher
from trireme.client.client import Client
from trireme.client.resource_interface import ADDED, DELETED, MODIFIED, ResourceInterface, Where
from trireme.kit.env import Env
from trireme.runtime import index as indexes
from trireme.runtime import keys
from trireme.runtime.index import Index, Values
from trireme.runtime.keys import Key
from trireme.runtime.shared_parts import SharedParts

T = TypeVar("T")

# Lists that are read at a time, so that the start of a component is no stampede.
LISTS = 8
# Objects whose handlers are called without a turn for other tasks.
RESYNC_BATCH = 100


class Event(msgspec.Struct, Generic[T], frozen=True):
    """``type`` is ADDED, MODIFIED or DELETED. ``object`` is the new state, for DELETED the last
    that is known; ``old`` the one before, None for ADDED. Where it is the same object, a list
    lacked what was deleted."""

    type: str
    object: T
    old: T | None = None

    @property
    def key(self) -> Key:
        return _key(self.object)


Handler = Callable[[Event[T]], None]
# A kind, a namespace, and selectors of labels and fields.
_Identity = tuple[Hashable, str, str, str]


def without_managed_fields(obj: Any) -> Any:
    """Drop what no component reads and what is often half of an object's size."""
    if obj.metadata.managedFields:
        obj.metadata.managedFields = []
    return obj


class Informer(Generic[T]):
    """One kind and selection. ``kind`` is an API type, or a ``ResourceInterface`` (metadata only,
    dynamic objects are not supported: they have no attributes).

    ``strip`` transforms each object before it is cached.
    """

    def __init__(
        self,
        client: Client,
        kind: type[T] | ResourceInterface[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        strip: Callable[[T], T] = without_managed_fields,
        lists: asyncio.Semaphore | None = None,
        env: Env,
    ) -> None:
        selection = watcher.Selection(
            namespace=namespace or "",
            label_selector=label_selector,
            field_selector=field_selector,
        )
        self._handle = client.of(kind)
        self._watcher = watcher.Watcher(self._handle, selection, env, lists)
        self._env = env
        self._strip = strip
        self._share: Callable[[Any, Any], None] | None = None
        if kind is Pod:
            self._share = SharedParts().share
        self._objects: dict[Key, T] = {}
        self._listing: dict[Key, T] = {}
        self._indexes: dict[Values, Index] = {}
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()
        # Every change up to this revision is in the cache.
        self.revision = 0

    async def run(self) -> None:
        """Follow the server until cancelled."""
        async with aclosing(self._watcher.events()) as events:
            async for event in events:
                match event:
                    case watcher.Apply(obj):
                        self._apply(self._strip(obj))
                    case watcher.Delete(obj):
                        self._remove(_key(obj), self._strip(obj))
                    case watcher.Init():
                        self._listing = {}
                    case watcher.InitApply(objects):
                        self._collect(objects)
                    case watcher.InitDone(revision):
                        # Even when it is an earlier one: the server's state may have been reset.
                        self.revision = _number(revision)
                        self._replace()

    async def resync(self) -> None:
        """Call the handlers for every object, as if it had changed and were the same."""
        for number, key in enumerate(list(self._objects)):
            obj = self._objects.get(key)
            if obj is not None:
                self._publish(Event(MODIFIED, obj, obj))
            if number % RESYNC_BATCH == 0:
                await asyncio.sleep(0)

    async def synced(self) -> None:
        """Return once the first list is in the cache and all handlers were called for it."""
        await self._synced.wait()

    @property
    def where(self) -> Where:
        """The place of its resource in the API."""
        return self._handle.where

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    def add_handler(self, handler: Handler[T]) -> None:
        """Call ``handler`` for every event from now on, and at once for what is there (ADDED).

        Handlers return quickly and do not wait; one that raises is logged and stays.
        """
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            self._call(handler, Event(ADDED, obj))

    def add_index(self, values: Values) -> None:
        """Keep an index by ``values``; adding it twice is the same as once."""
        if values in self._indexes:
            return
        index = self._indexes[values] = Index(values)
        for key, obj in self._objects.items():
            index.put(key, obj)

    def get(self, namespace: str, name: str) -> T | None:
        """An object, ``namespace`` "" for a cluster-scoped kind."""
        return self._objects.get(Key(namespace, name))

    def list(self, namespace: str = "") -> list[T]:
        """All objects, or those of a namespace."""
        if not namespace:
            return list(self._objects.values())
        # Kept from the first such question on: it is asked at events, which are many.
        self.add_index(indexes.namespace)
        return self.by_index(indexes.namespace, namespace)

    def by_index(self, values: Values, value: Hashable) -> builtins.list[T]:
        """The objects that have ``value`` in the index by ``values``. Raises KeyError when there
        is no such index."""
        return [self._objects[key] for key in self._indexes[values].get(value)]

    def __len__(self) -> int:
        return len(self._objects)

    def _collect(self, objects: Iterable[T]) -> None:
        """Objects of an incomplete list; of unchanged ones the cached object is kept."""
        for fresh in objects:
            key = _key(fresh)
            known = self._objects.get(key)
            if known is not None and _version(known) == _version(fresh):
                self._listing[key] = known
            else:
                self._listing[key] = self._strip(fresh)

    def _replace(self) -> None:
        """A list is complete: DELETED for what it lacks, ADDED or MODIFIED for what changed."""
        listed, self._listing = self._listing, {}
        for key in [key for key in self._objects if key not in listed]:
            self._remove(key, self._objects[key])
        for obj in listed.values():
            self._apply(obj)
        if not self._synced.is_set():
            self._env.log.debug("%s: %d in cache", self._handle.where.label, len(listed))
            self._synced.set()

    def _apply(self, obj: T) -> None:
        key = _key(obj)
        self.revision = max(self.revision, _number(_version(obj)))
        old = self._objects.get(key)
        if old is not None:
            if _version(old) == _version(obj):
                return
            if _uid(old) != _uid(obj):
                # Deleted and created again meanwhile: two different objects.
                self._remove(key, old)
                old = None
        if self._share is not None:
            self._share(obj, old)
        self._objects[key] = obj
        for index in self._indexes.values():
            index.put(key, obj)
        self._publish(Event(ADDED, obj) if old is None else Event(MODIFIED, obj, old))

    def _remove(self, key: Key, last: T) -> None:
        self.revision = max(self.revision, _number(_version(last)))
        old = self._objects.pop(key, None)
        if old is None:
            return
        for index in self._indexes.values():
            index.remove(key)
        self._publish(Event(DELETED, last, old))

    def _publish(self, event: Event[T]) -> None:
        # A handler may add another, which is called for the cached objects at once.
        for handler in tuple(self._handlers):
            self._call(handler, event)

    def _call(self, handler: Handler[T], event: Event[T]) -> None:
        try:
            handler(event)
        except Exception:
            self._env.log.exception(
                "%s %s: a handler of %s failed", self._handle.where.label, event.key, event.type
            )


def _key(obj: Any) -> Key:
    return keys.of(obj.metadata)


def _version(obj: Any) -> str:
    version: str = obj.metadata.resourceVersion
    return version


def _number(version: str) -> int:
    return int(version or 0)


def _uid(obj: Any) -> str:
    uid: str = obj.metadata.uid
    return uid


class Informers:
    """The informers of a component: one for each kind and selection, started in its task group.

    Their first lists are read a few at a time. ``resync``: their handlers are called anew after
    once to twice as many seconds, 0 for never.
    """

    def __init__(self, client: Client, env: Env, *, resync: float = 0.0) -> None:
        self._client = client
        self._env = env
        self._resync = resync
        # Held while a list is read; by whoever makes informers of its own, too.
        self.lists = asyncio.Semaphore(LISTS)
        self._informers: dict[_Identity, Informer[Any]] = {}
        self._group: asyncio.TaskGroup | None = None

    def of(
        self,
        kind: type[T] | ResourceInterface[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Informer[T]:
        """The informer of a kind and selection; made, and started if the others are, when new."""
        place: Any = kind.where if isinstance(kind, ResourceInterface) else kind
        identity = (place, namespace or "", label_selector, field_selector)
        informer = self._informers.get(identity)
        if informer is None:
            informer = self._informers[identity] = Informer(
                self._client,
                kind,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                lists=self.lists,
                env=self._env,
            )
            self._run(informer)
        return informer

    def existing(self, group: str, plural: str) -> Informer[Any] | None:
        """The informer of all objects of a resource, whatever its version, if there is one."""
        for (_, *selection), informer in self._informers.items():
            where = informer.where
            if not any(selection) and (where.group, where.plural) == (group, plural):
                return informer
        return None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run all informers, and those yet to come, in ``group``."""
        self._group = group
        for informer in self._informers.values():
            self._run(informer)
        if self._resync:
            group.create_task(self._resync_forever(), name="resync")

    async def synced(self) -> None:
        """Return once all informers have their first list."""
        for informer in list(self._informers.values()):
            await informer.synced()

    async def _resync_forever(self) -> None:
        while True:
            await self._env.clock.sleep(self._resync * (1.0 + self._env.rng.random()))
            for informer in list(self._informers.values()):
                await informer.resync()

    def _run(self, informer: Informer[Any]) -> None:
        if self._group is not None:
            self._group.create_task(informer.run(), name="informer")
