"""WATCH: the events of a kind from a revision on, as a stream.

In: a request; out: a ``StreamReply``. How an event is written is ``reply/events``. Bookmarks,
initial events and the old behaviours of resourceVersion "" and "0" are as in
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
What goes wrong once the options are known to be good is told as an event of the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Iterator
from itertools import chain

import msgspec

from trireme.apiserver.cache import views
from trireme.apiserver.cache.views import View
from trireme.apiserver.endpoint import Endpoint, with_revision
from trireme.apiserver.reply import events, negotiate
from trireme.apiserver.reply.events import Write
from trireme.apiserver.reply.reply import StreamReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.apiserver.verbs import options, read
from trireme.apiserver.verbs.options import ListOptions
from trireme.machinery import errors
from trireme.store import contract as stores
from trireme.store.contract import Event, KeyValue, Subscription

BOOKMARK_INTERVAL = 60.0
# A watch without timeoutSeconds ends after this long, up to twice as long, so that clients spread.
MIN_TIMEOUT = 1800.0
# Events are sent in chunks of about this size: so much of them is a slow reader's own.
CHUNK = 64 * 1024
# How many first events are made before others may have their turn.
AT_ONCE = 25

_ADDED, _MODIFIED, _DELETED = "ADDED", "MODIFIED", "DELETED"
_TYPES = {stores.CREATED: _ADDED, stores.MODIFIED: _MODIFIED, stores.DELETED: _DELETED}

# An event's type, and the item that it is about.
Told = tuple[str, KeyValue]


async def watch(server: ApiServer, request: Request, endpoint: Endpoint) -> StreamReply:
    """Check the options, subscribe, and answer with the stream."""
    options.refuse_shards(request, server.gates)
    form = negotiate.of(request, endpoint.served)
    wanted = options.list_options(request, endpoint, watching=True)
    content_type = negotiate.stream(form, endpoint.served)
    write = events.writer(request, endpoint, form, server.env.clock)
    store = server.store
    await store.barrier()
    asked = wanted.resource_version
    initial = bool(wanted.initial_events)
    if initial and asked is not None and asked > store.revision:
        fault = errors.too_large_resource_version(asked, store.revision)
        return StreamReply(_only(events.error(form, fault)), content_type=content_type)
    since = store.revision if initial or not asked else asked
    prefix = _prefix(request, endpoint, wanted)
    first: list[KeyValue] = []
    if initial:
        first = server.indexes.newest(endpoint.hub, request.info.namespace, wanted.selection)
    try:
        # A revision that is still to come is waited for.
        filter = None
        if not (endpoint.selects_shown and wanted.selection.looks_inside):
            filter = server.views.watch_filter(endpoint.hub, wanted.selection)
        subscription = store.watch(prefix, min(since, store.revision), filter=filter)
    except stores.Compacted as old:
        fault = errors.too_old_resource_version(since, old.compacted)
        return StreamReply(_only(events.error(form, fault)), content_type=content_type)
    endpoint.watching(subscription)
    stream = _Stream(server, endpoint, wanted, write, subscription)
    chunks = _Closing(stream.run(first, since, initial), subscription)
    return StreamReply(chunks, content_type=content_type)


def _prefix(request: Request, endpoint: Endpoint, wanted: ListOptions) -> str:
    """The keys that are watched: those of the kind, of a namespace, or one object's."""
    namespace, selected = request.info.namespace, wanted.selection.fields
    name = None if selected is None else selected.exact("metadata.name")
    if name and (namespace or not endpoint.resource.namespaced):
        return endpoint.key(namespace, name)
    return endpoint.prefix(namespace)


async def _only(line: bytes) -> AsyncGenerator[bytes]:
    yield line


class _Closing:
    """A stream that ends its subscription even when nobody ever began to read it."""

    __slots__ = ("_chunks", "_subscription")

    def __init__(self, chunks: AsyncGenerator[bytes], subscription: Subscription) -> None:
        self._chunks = chunks
        self._subscription = subscription

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._chunks.__anext__()

    async def aclose(self) -> None:
        self._subscription.close()
        await self._chunks.aclose()


class _Stream:
    """One watcher: filters, forms and bundles events until it ends."""

    def __init__(
        self,
        server: ApiServer,
        endpoint: Endpoint,
        wanted: ListOptions,
        write: Write,
        subscription: Subscription,
    ) -> None:
        self._server = server
        self._endpoint = endpoint
        self._wanted = wanted
        self._write = write
        self._subscription = subscription
        self._sent = 0
        # One timer for many waits: it is set anew only when it is to ring at another time.
        self._alarm: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def run(self, first: list[KeyValue], since: int, mark: bool) -> AsyncGenerator[bytes]:
        """Chunks of whole events; ends after the timeout or when the reader is too slow."""
        clock = self._server.env.clock
        timeout = self._wanted.timeout
        if not timeout:
            timeout = MIN_TIMEOUT * (1 + self._server.env.rng.random())
        end = clock.monotonic() + timeout
        try:
            turn = self._server.turns.begin()
            for start in range(0, max(len(first), 1), AT_ONCE):
                lines = await self._first(first[start : start + AT_ONCE])
                if mark and self._wanted.bookmarks and start + AT_ONCE >= len(first):
                    told_all = self._bookmark(since, {"k8s.io/initial-events-end": "true"})
                    lines = chain(lines, [told_all])
                for chunk in _bundled(lines):
                    yield chunk
                await turn.pause()
            first = []
            self._sent = since
            next_mark = clock.monotonic() + BOOKMARK_INTERVAL
            while True:
                now = clock.monotonic()
                if now >= end:
                    return
                due = min(end, next_mark) if self._wanted.bookmarks else end
                told = await self._told(await self._next(due))
                for chunk in _bundled(await self._lines(told)):
                    yield chunk
                if self._wanted.bookmarks and clock.monotonic() >= next_mark:
                    next_mark = clock.monotonic() + BOOKMARK_INTERVAL
                    yield self._bookmark(max(self._subscription.revision, self._sent), {})
        except stores.SubscriptionClosed:
            # Too slow, or the store is closing: the client resumes from what it has seen.
            return
        finally:
            self._silence()
            self._subscription.close()

    async def _next(self, due: float) -> list[Event]:
        """The events that are there, or come until it is time. SubscriptionClosed."""
        events = self._subscription.take()
        if events:
            return events
        if self._alarm is None or self._due != due:
            self._silence()
            patience = due - self._server.env.clock.monotonic()
            self._due = due
            self._alarm = asyncio.get_running_loop().call_later(patience, self._ring)
        return await self._subscription.next()

    def _ring(self) -> None:
        self._alarm = None
        self._subscription.notify()

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _lines(self, told: list[Told]) -> Iterator[bytes]:
        """Events as they are sent, in the version that this watcher asks for."""
        write = self._write
        if self._endpoint.converts:
            shown = await self._endpoint.show([item for _, item in told])
            told = [(type_, item) for (type_, _), item in zip(told, shown, strict=True)]
        return (write(type_, item.key, item.value) for type_, item in told)

    async def _first(self, items: list[KeyValue]) -> Iterator[bytes]:
        """What is there when the watch begins, as events."""
        selection = self._wanted.selection
        if not selection.everything:
            items = list(await read.chosen(self._server, self._endpoint, selection, items))
        return await self._lines([(_ADDED, item) for item in items])

    async def _told(self, given: list[Event]) -> list[Told]:
        """What this watcher is told of events: of some nothing."""
        fresh = [event for event in given if event.revision > self._sent]
        if not fresh:
            return []
        self._sent = fresh[-1].revision
        selection, endpoint = self._wanted.selection, self._endpoint
        if selection.everything:
            return [(_TYPES[event.type], _item(event, event.value)) for event in fresh]
        if endpoint.selects_shown and selection.looks_inside:
            changes = await _changes_shown(endpoint, fresh)
        else:
            changes = [self._server.views.change(endpoint.hub, event) for event in fresh]
        told = (
            _seen(event, selection.matches(before), selection.matches(after))
            for event, (before, after) in zip(fresh, changes, strict=True)
        )
        return [one for one in told if one is not None]

    def _bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        resource = self._endpoint.resource
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        value = msgspec.json.encode(
            {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        )
        return self._write(events.BOOKMARK, "", value)


def _seen(event: Event, was: bool, matches: bool) -> Told | None:
    """An event as a selection sees it, which matched the object before or matches it now.

    An object that leaves the selection is DELETED, one that enters it is ADDED.
    """
    if event.type == stores.DELETED:
        return (_DELETED, _item(event, event.value)) if was else None
    if matches:
        return _MODIFIED if was else _ADDED, _item(event, event.value)
    if was and event.previous is not None:
        return _DELETED, _item(event, with_revision(event.previous, event.revision))
    return None


async def _changes_shown(
    endpoint: Endpoint, given: list[Event]
) -> list[tuple[View | None, View | None]]:
    """What objects were before events and after them, in the version that is served."""
    old = {
        at: KeyValue(event.key, event.previous, event.previous_revision or 0, event.created)
        for at, event in enumerate(given)
        if event.previous is not None
    }
    new = {
        at: _item(event, event.value)
        for at, event in enumerate(given)
        if event.type != stores.DELETED
    }
    found = await views.shown(endpoint, [*old.values(), *new.values()])
    before = dict(zip(old, found, strict=False))
    after = dict(zip(new, found[len(old) :], strict=True))
    return [(before.get(at), after.get(at)) for at in range(len(given))]


def _item(event: Event, value: bytes) -> KeyValue:
    return KeyValue(event.key, value, event.revision, event.created)


def _bundled(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The events in chunks: what a slow reader has not fetched is still shared by all."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= CHUNK:
            chunk = b"".join(waiting)
            waiting, size = [], 0
            yield chunk
    if size:
        yield b"".join(waiting)
