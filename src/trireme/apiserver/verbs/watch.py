"""WATCH: the events of a kind from a revision on, as a stream.

In: a request; out: a ``StreamReply``. How an event is written is ``reply/events``. Bookmarks,
initial events and the old behaviours of resourceVersion "" and "0" are as in
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
What goes wrong once the options are validated is an ERROR event of the stream.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from itertools import chain

import msgspec

from trireme.apiserver.cache import views
from trireme.apiserver.cache.views import View
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint, with_revision
from trireme.apiserver.reply import events, negotiate
from trireme.apiserver.reply.events import Write
from trireme.apiserver.reply.reply import StreamReply
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import options, read
from trireme.apiserver.verbs.options import ListOptions
from trireme.kit.clock import TimerHandle
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
WatchEvent = tuple[str, KeyValue]
# What an object was, and is.
Change = tuple[View | None, View | None]


async def watch(context: ServerContext, request: Request, endpoint: Endpoint) -> StreamReply:
    """Check the options, subscribe, and answer with the stream."""
    options.refuse_shards(request, context.gates)
    form = negotiate.of(request, endpoint.served)
    opts = options.list_options(request, endpoint, watching=True)
    content_type = negotiate.stream(form, endpoint.served)
    write = events.writer(request, endpoint, form, context.env.clock)
    store = context.store
    began = context.metrics.now()
    asked = opts.resource_version
    initial = bool(opts.initial_events)
    if asked is None or asked > store.revision:
        await store.barrier()
    if initial and asked is not None and asked > store.revision:
        error = errors.too_large_resource_version(asked, store.revision)
        return StreamReply(_only(events.error(form, error)), content_type=content_type)
    since = store.revision if initial or not asked else asked
    prefix = _prefix(request, endpoint, opts)
    first: list[KeyValue] = []
    if initial:
        first = context.indexes.newest(endpoint.hub, request.info.namespace, opts.selection)
    try:
        # A revision that is still to come is waited for.
        filter = None
        if not views.selects_served(endpoint, opts.selection):
            filter = context.views.watch_filter(endpoint.hub, opts.selection)
        subscription = store.watch(prefix, min(since, store.revision), filter=filter)
    except stores.Compacted as old:
        error = errors.too_old_resource_version(since, old.compacted)
        return StreamReply(_only(events.error(form, error)), content_type=content_type)
    endpoint.watching(subscription)
    context.watches.began(endpoint.resource, len(first))

    def initialized() -> None:
        request.initialized()
        if initial:
            seconds = context.metrics.now() - began
            context.watches.listed(endpoint.resource, request.info, seconds)

    stream = _Stream(context, endpoint, opts, write, subscription, initialized)
    chunks = _Closing(stream.run(first, since, initial), subscription)
    return StreamReply(chunks, content_type=content_type, direct=stream.write_to)


def _prefix(request: Request, endpoint: Endpoint, opts: ListOptions) -> str:
    """The keys that are watched: those of the kind, of a namespace, or one object's."""
    namespace, selected = request.info.namespace, opts.selection.fields
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
        context: ServerContext,
        endpoint: Endpoint,
        opts: ListOptions,
        write: Write,
        subscription: Subscription,
        initialized: Callable[[], None],
    ) -> None:
        self._initialized = initialized
        self._context = context
        self._endpoint = endpoint
        self._options = opts
        self._write = write
        self._subscription = subscription
        self._selects_served = views.selects_served(endpoint, opts.selection)
        self._sizes = context.watches.sizes(endpoint.resource)
        self._sent = 0
        # One timer for many waits: it is set anew only when it is to ring at another time.
        self._timer: TimerHandle | None = None
        self._due = 0.0

    def write_to(self, write: Callable[[bytes], bool]) -> None:
        """Write an event as soon as it comes, without waking the reader of ``run``: that is a
        quarter of what an event costs. To a client that does not keep up ``run`` writes: it can
        wait."""
        if self._endpoint.converts or self._selects_served:
            # For that only ``run`` can wait.
            return

        def deliver(given: list[Event]) -> bool:
            fresh = self._fresh(given)
            selected = self._selected(fresh)
            lines = [self._write(kind, item.key, item.value) for kind, item in selected]
            if lines and not write(lines[0] if len(lines) == 1 else b"".join(lines)):
                return False
            for line in lines:
                self._sizes.observe(len(line))
            if fresh:
                self._sent = fresh[-1].revision
            return True

        self._subscription.deliver(deliver)

    async def run(self, first: list[KeyValue], since: int, mark: bool) -> AsyncGenerator[bytes]:
        """Chunks of whole events; ends after the timeout or when the reader is too slow."""
        clock = self._context.env.clock
        timeout = self._options.timeout
        if not timeout:
            timeout = MIN_TIMEOUT * (1 + self._context.env.rng.random())
        end = clock.monotonic() + timeout
        try:
            turn = self._context.turns.begin()
            for start in range(0, max(len(first), 1), AT_ONCE):
                lines = await self._first(first[start : start + AT_ONCE])
                if mark and self._options.bookmarks and start + AT_ONCE >= len(first):
                    lines = chain(lines, self._end_mark(since))
                for chunk in _bundled(lines, self._sizes.observe):
                    yield chunk
                await turn.pause()
            first = []
            self._sent = since
            self._initialized()
            next_mark = clock.monotonic() + BOOKMARK_INTERVAL
            while True:
                now = clock.monotonic()
                if now >= end:
                    return
                due = min(end, next_mark) if self._options.bookmarks else end
                matching = await self._matching(await self._next(due))
                for chunk in _bundled(await self._lines(matching), self._sizes.observe):
                    yield chunk
                if self._options.bookmarks and clock.monotonic() >= next_mark:
                    next_mark = clock.monotonic() + BOOKMARK_INTERVAL
                    yield self._bookmark(max(self._subscription.revision, self._sent), {})
        except stores.SubscriptionClosed:
            # Too slow, or the store is closing: the client resumes from the last event it got.
            return
        finally:
            self._cancel_timer()
            self._subscription.close()

    async def _next(self, due: float) -> list[Event]:
        """The events that are there, or come until it is time. SubscriptionClosed."""
        events = self._subscription.take()
        if events:
            return events
        if self._timer is None or self._due != due:
            self._cancel_timer()
            clock = self._context.env.clock
            self._due = due
            self._timer = clock.call_tick(due - clock.monotonic(), self._wake)
        return await self._subscription.next()

    def _wake(self) -> None:
        self._timer = None
        self._subscription.notify()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _lines(self, matching: list[WatchEvent]) -> Iterator[bytes]:
        """Events as they are sent, in the version that this watcher asks for."""
        if self._endpoint.converts:
            served = await self._endpoint.from_stored([item for _, item in matching])
            matching = [(type_, item) for (type_, _), item in zip(matching, served, strict=True)]
        return (self._write(type_, item.key, item.value) for type_, item in matching)

    async def _first(self, items: list[KeyValue]) -> Iterator[bytes]:
        """What is there when the watch begins, as events."""
        selection = self._options.selection
        if not selection.everything:
            items = list(await read.matching(self._context, self._endpoint, selection, items))
        return await self._lines([(_ADDED, item) for item in items])

    async def _matching(self, given: list[Event]) -> list[WatchEvent]:
        """The events as this watcher gets them; those that do not match are left out."""
        fresh = self._fresh(given)
        if not fresh:
            return []
        self._sent = fresh[-1].revision
        served = await _served_changes(self._endpoint, fresh) if self._selects_served else None
        return self._selected(fresh, served)

    def _fresh(self, given: list[Event]) -> list[Event]:
        return [event for event in given if event.revision > self._sent]

    def _selected(
        self, fresh: list[Event], changes: list[Change] | None = None
    ) -> list[WatchEvent]:
        """``changes`` are what the events' objects were and are, where that took a while."""
        selection = self._options.selection
        if selection.everything:
            return [(_TYPES[event.type], _item(event, event.value)) for event in fresh]
        if changes is None:
            hub = self._endpoint.hub
            changes = [self._context.views.change(hub, event) for event in fresh]
        matching = (
            _selected_event(event, selection.matches(before), selection.matches(after))
            for event, (before, after) in zip(fresh, changes, strict=True)
        )
        return [one for one in matching if one is not None]

    def _end_mark(self, revision: int) -> Iterator[bytes]:
        """The bookmark after the first events: made after them, as the first event of a stream of
        Tables has the heads."""
        yield self._bookmark(revision, {"k8s.io/initial-events-end": "true"})

    def _bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        resource = self._endpoint.resource
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        value = msgspec.json.encode(
            {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        )
        return self._write(events.BOOKMARK, "", value)


def _selected_event(event: Event, was: bool, matches: bool) -> WatchEvent | None:
    """An event as a selection gets it, which matched the object before or matches it now.

    An object that leaves the selection is DELETED, one that enters it is ADDED.
    """
    if event.type == stores.DELETED:
        return (_DELETED, _item(event, event.value)) if was else None
    if matches:
        return _MODIFIED if was else _ADDED, _item(event, event.value)
    if was and event.previous is not None:
        return _DELETED, _item(event, with_revision(event.previous, event.revision))
    return None


async def _served_changes(endpoint: Endpoint, given: list[Event]) -> list[Change]:
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
    found = await views.served(endpoint, [*old.values(), *new.values()])
    before = dict(zip(old, found, strict=False))
    after = dict(zip(new, found[len(old) :], strict=True))
    return [(before.get(at), after.get(at)) for at in range(len(given))]


def _item(event: Event, value: bytes) -> KeyValue:
    return KeyValue(event.key, value, event.revision, event.created)


def _bundled(lines: Iterable[bytes], observe: Callable[[float], None]) -> Iterator[bytes]:
    """The events in chunks: what a slow reader has not fetched is still shared by all.

    ``observe`` gets the size of each event.
    """
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        length = len(line)
        observe(length)
        size += length
        if size >= CHUNK:
            chunk = b"".join(waiting)
            waiting, size = [], 0
            yield chunk
    if size:
        yield b"".join(waiting)
