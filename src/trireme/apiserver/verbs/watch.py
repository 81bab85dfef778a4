"""WATCH: the events of a kind from a revision on, as a stream of JSON lines.

In: a request; out: a ``StreamReply``. An event's plain form is a prefix, the stored bytes and a
suffix, so a thousand watchers share one encoding. Bookmarks, initial events and the old behaviours
of resourceVersion "" and "0" are as in
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import msgspec

from trireme.apiserver.endpoint import Endpoint, with_revision
from trireme.apiserver.reply import negotiate, table
from trireme.apiserver.reply.reply import StreamReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.apiserver.verbs import options
from trireme.apiserver.verbs.options import ListOptions
from trireme.machinery import errors
from trireme.machinery.meta import ListMeta
from trireme.store import contract as stores
from trireme.store.contract import Event, Subscription

BOOKMARK_INTERVAL = 60.0
# A watch without timeoutSeconds ends after this long, up to twice as long, so that clients spread.
MIN_TIMEOUT = 1800.0
# Events are sent in chunks of about this size.
CHUNK = 256 * 1024

_ADDED, _MODIFIED, _DELETED = "ADDED", "MODIFIED", "DELETED"
_TYPES = {stores.CREATED: _ADDED, stores.MODIFIED: _MODIFIED, stores.DELETED: _DELETED}
_HEADS = {name: b'{"type":"%s","object":' % name.encode() for name in (_ADDED, _MODIFIED, _DELETED)}

Write = Callable[[str, bytes], bytes]


async def watch(server: ApiServer, request: Request, endpoint: Endpoint) -> StreamReply:
    """Check the options, subscribe, and answer with the stream."""
    wanted = options.list_options(request, endpoint, watching=True)
    form = negotiate.accept(request.headers.get("accept", "").replace(";stream=watch", ""))
    if form.media != "application/json":
        raise errors.not_acceptable(negotiate.ACCEPTED)
    write = _writer(server, request, endpoint, form)
    store = server.store
    await store.barrier()
    asked = wanted.resource_version
    if asked is not None and asked > store.revision:
        raise errors.too_large_resource_version(asked, store.revision)
    from_now = asked is None or asked == 0
    initial = wanted.initial_events if wanted.initial_events is not None else from_now
    since = store.revision if from_now or initial else asked
    prefix = endpoint.prefix(request.info.namespace)
    first = store.list(prefix).items if initial else []
    try:
        subscription = store.watch(prefix, since)
    except stores.Compacted as old:
        raise errors.too_old_resource_version(since, old.compacted) from None
    stream = _Stream(server, endpoint, wanted, write, subscription)
    head = [(item.key, item.revision, item.value) for item in first]
    mark = bool(wanted.initial_events)
    return StreamReply(stream.run(head, since, mark))


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

    async def run(
        self, first: list[tuple[str, int, bytes]], since: int, mark: bool
    ) -> AsyncIterator[bytes]:
        """Chunks of whole lines; ends after the timeout or when the reader is too slow."""
        clock = self._server.env.clock
        timeout = self._wanted.timeout
        if not timeout:
            timeout = MIN_TIMEOUT * (1 + self._server.env.rng.random())
        end = clock.monotonic() + timeout
        try:
            if first or mark:
                yield self._initial(first, since, mark)
            self._sent = since
            next_mark = clock.monotonic() + BOOKMARK_INTERVAL
            while True:
                now = clock.monotonic()
                if now >= end:
                    return
                due = min(end, next_mark) if self._wanted.bookmarks else end
                for chunk in _bundled(map(self._line, await self._next(due - now))):
                    yield chunk
                if self._wanted.bookmarks and clock.monotonic() >= next_mark:
                    next_mark = clock.monotonic() + BOOKMARK_INTERVAL
                    yield self._bookmark(max(self._subscription.revision, self._sent), {})
        except stores.SubscriptionClosed:
            # Too slow, or the store is closing: the client resumes from what it has seen.
            return
        finally:
            self._subscription.close()

    async def _next(self, patience: float) -> list[Event]:
        """The events that are there, or come within some seconds. SubscriptionClosed."""
        events = self._subscription.take()
        if events:
            return events
        try:
            async with asyncio.timeout(patience):
                return await self._subscription.next()
        except TimeoutError:
            return []

    def _initial(self, first: list[tuple[str, int, bytes]], since: int, mark: bool) -> bytes:
        selection, views = self._wanted.selection, self._server.views
        lines = [
            self._write(_ADDED, value)
            for key, revision, value in first
            if selection.everything
            or selection.matches(views.of(self._endpoint, key, revision, value))
        ]
        if mark and self._wanted.bookmarks:
            lines.append(self._bookmark(since, {"k8s.io/initial-events-end": "true"}))
        return b"".join(lines)

    def _line(self, event: Event) -> bytes:
        """What this watcher is told of an event; nothing when it is not concerned.

        An object that leaves the selection is DELETED, one that enters it is ADDED.
        """
        self._sent = event.revision
        selection = self._wanted.selection
        if selection.everything:
            return self._write(_TYPES[event.type], event.value)
        views, endpoint = self._server.views, self._endpoint
        was = False
        if event.previous is not None:
            before = event.previous_revision or 0
            was = selection.matches(views.of(endpoint, event.key, before, event.previous))
        if event.type == stores.DELETED:
            return self._write(_DELETED, event.value) if was else b""
        matches = selection.matches(views.of(endpoint, event.key, event.revision, event.value))
        if matches:
            return self._write(_MODIFIED if was else _ADDED, event.value)
        if was and event.previous is not None:
            return self._write(_DELETED, with_revision(event.previous, event.revision))
        return b""

    def _bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        resource = self._endpoint.resource
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        return (
            msgspec.json.encode(
                {
                    "type": "BOOKMARK",
                    "object": {
                        "kind": resource.kind,
                        "apiVersion": resource.api_version,
                        "metadata": metadata,
                    },
                }
            )
            + b"\n"
        )


def _bundled(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in chunks: what a slow reader has not fetched is not copied as a whole."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def _writer(server: ApiServer, request: Request, endpoint: Endpoint, form: negotiate.Form) -> Write:
    """How this watcher's events are formed."""
    if form.kind == negotiate.PLAIN:
        return lambda type_, value: b"".join((_HEADS[type_], value, b"}\n"))
    if form.kind == negotiate.TABLE:
        include = table.check_include(request.param("includeObject"))
        definitions = True

        def as_table(type_: str, value: bytes) -> bytes:
            nonlocal definitions
            body = table.table(
                endpoint,
                [value],
                ListMeta(),
                server.env.clock.now(),
                include,
                form.version,
                definitions=definitions,
            )
            definitions = False
            return b"".join((_HEADS[type_], body, b"}\n"))

        return as_table
    return lambda type_, value: b"".join(
        (_HEADS[type_], table.partial(value, form.version), b"}\n")
    )
