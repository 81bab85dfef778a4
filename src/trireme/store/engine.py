"""What the engines share: compares, and making durable writes visible.

In: the contract's writes. Out: ``Write`` records, handed to the engine's ``_submit`` in order, and
committed (made visible, published, acknowledged) or failed in that order.
A write is compared when submitted, against the newest pending state. An error that follows from a
pending write is raised only once that write is durable: nobody learns of what may never be.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, NoReturn, Self

from trireme.store.codec import Transformer
from trireme.store.contract import (
    CREATED,
    DELETED,
    MODIFIED,
    Conflict,
    Event,
    EventType,
    FutureRevision,
    KeyExists,
    KeyMissing,
    KeyValue,
    Page,
    StoreError,
    StoreUnavailable,
    Subscription,
    Unreadable,
    Value,
    WatchFilter,
)
from trireme.store.history import EventHistory
from trireme.store.table import Table


class Write:
    """One write that is not durable yet. ``item`` is what its caller gets."""

    __slots__ = ("acknowledged", "epoch", "errors", "event", "item", "stored")

    def __init__(self, event: Event, item: KeyValue, epoch: int) -> None:
        self.event = event
        self.item = item
        # The event with its value as it is stored.
        self.stored = event
        self.epoch = epoch
        self.acknowledged: asyncio.Future[KeyValue] | None = None
        self.errors: list[tuple[asyncio.Future[NoReturn], StoreError]] = []


class Engine:
    """``history`` bounds the events kept, in events: beyond it the oldest quarter is compacted."""

    expires = False
    shared = False

    def __init__(self, *, history: int | None = None) -> None:
        if history is not None and history < 4:
            raise ValueError(f"history of {history} events is below 4")
        self._history_limit = history
        self._history = EventHistory()
        self._table = Table(self._history)
        self._assigned = 1
        self._epoch = 0
        self._pending: dict[str, Write] = {}
        self._uncommitted: deque[Write] = deque()
        self._closed: str | None = "the store has not been started"
        self._failure = ""
        self._transformer: Transformer | None = None
        # Why what is stored under a key cannot be read.
        self._unreadable: dict[str, str] = {}
        self._log = logging.getLogger("trireme.store")

    @property
    def revision(self) -> int:
        return self._history.revision

    @property
    def compacted(self) -> int:
        return self._history.compacted

    def published(self) -> dict[str, int]:
        return self._history.published

    async def size(self) -> int:
        """Bytes that the data takes on the disk."""
        return 0

    @property
    def failure(self) -> str:
        """Why the last write was not durable; "" once one is."""
        return self._failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def start(self) -> None:
        self._closed = None

    async def close(self) -> None:
        self._closed = "the store is closed"
        self._history.close("store closed")

    # Writes

    async def create(self, key: str, value: Value, ttl: int = 0) -> KeyValue:
        """KeyExists, StoreUnavailable."""
        self._check(key)
        current, pending = self._newest(key)
        if current is not None:
            await self._raise(KeyExists(key, current), pending)
        revision = self._assigned = self._assigned + 1
        item = KeyValue(key, render(value, revision), revision, revision)
        return await self._write(CREATED, item, None)

    async def update(
        self, key: str, value: Value, expect: int | None = None, ttl: int = 0
    ) -> KeyValue:
        """KeyMissing, Conflict, StoreUnavailable."""
        current = await self._compare(key, expect)
        revision = self._assigned = self._assigned + 1
        item = KeyValue(key, render(value, revision), revision, current.created)
        return await self._write(MODIFIED, item, current)

    async def delete(
        self, key: str, expect: int | None = None, value: Value | None = None
    ) -> KeyValue:
        """Returns the final item. KeyMissing, Conflict, StoreUnavailable."""
        current = await self._compare(key, expect)
        revision = self._assigned = self._assigned + 1
        final = current.value if value is None else render(value, revision)
        return await self._write(DELETED, KeyValue(key, final, revision, current.created), current)

    async def _submit(self, write: Write) -> KeyValue:
        """Make the write durable, then visible; return its item. No await before it is queued."""
        raise NotImplementedError

    # Reads

    def get(self, key: str) -> KeyValue | None:
        """Unreadable."""
        if self._unreadable and key in self._unreadable:
            raise Unreadable(key, self._unreadable[key])
        return self._table.get(key)

    def list(
        self, prefix: str, *, after: str | None = None, limit: int = 0, revision: int | None = None
    ) -> Page:
        """Compacted, FutureRevision, Unreadable."""
        if self._unreadable:
            for key, reason in self._unreadable.items():
                if key.startswith(prefix):
                    raise Unreadable(key, reason)
        return self._table.list(prefix, after, limit, revision)

    def count(self, prefix: str) -> int:
        return self._table.count(prefix)

    def watch(
        self, prefix: str, since: int, *, buffer: int = 10_000, filter: WatchFilter | None = None
    ) -> Subscription:
        """Compacted, FutureRevision, StoreUnavailable."""
        if self._closed is not None:
            raise StoreUnavailable(self._closed)
        if buffer < 1:
            raise ValueError(f"a buffer of {buffer} events is below 1")
        return self._history.subscribe(prefix, since, buffer, filter)

    async def barrier(self) -> int:
        """The revision that a linearizable read sees: one process writes, so the current one."""
        return self.revision

    def transform(self, transformer: Transformer) -> None:
        self._transformer = transformer

    def stale(self, key: str) -> bool:
        return self._transformer is not None and self._transformer.stale(key)

    async def reread(self) -> None:
        """Try again what could not be read."""
        found = [item for key in self._unreadable if (item := self._table.get(key)) is not None]
        if self._transformer is not None and self._transformer.asks:
            await self._transformer.prepare([(item.key, item.value) for item in found])
        for item in found:
            try:
                value = self._read_stored(item.key, item.value, item.revision)
            except Unreadable as error:
                self._unreadable[item.key] = error.reason
                continue
            self._table.replace(KeyValue(item.key, value, item.revision, item.created))
            del self._unreadable[item.key]

    def _read_stored(self, key: str, data: bytes, revision: int) -> bytes:
        """The value of what is stored outside. Unreadable."""
        return data if self._transformer is None else self._transformer.from_storage(key, data)

    async def compact(self, revision: int) -> None:
        """Forget history up to ``revision``; older than the compacted one is nothing to do.

        Returns once that is durable and the space free. FutureRevision, StoreUnavailable.
        """
        if self._closed is not None:
            raise StoreUnavailable(self._closed)
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision > self.compacted:
            self._compact(revision)
        await self._reclaimed()

    def _compact(self, revision: int) -> None:
        dead: list[int] = []
        for event in self._history.compact(revision):
            if event.previous_revision is not None:
                dead.append(event.previous_revision)
            if event.type == DELETED:
                dead.append(event.revision)
        dead.sort()
        self._reclaim(revision, dead)

    def _reclaim(self, revision: int, dead: Sequence[int]) -> None:
        """Free what the writes at the revisions ``dead`` (ascending) hold outside memory."""

    async def _reclaimed(self) -> None:
        """Wait until every ``_reclaim`` so far is done."""

    # Compares

    async def _compare(self, key: str, expect: int | None) -> KeyValue:
        self._check(key)
        current, pending = self._newest(key)
        if current is None:
            await self._raise(KeyMissing(key), pending)
        elif expect is not None and current.revision != expect:
            await self._raise(Conflict(current, expect), pending)
        assert current is not None
        return current

    def _newest(self, key: str) -> tuple[KeyValue | None, Write | None]:
        pending = self._pending.get(key)
        if pending is None:
            return self._table.get(key), None
        return (None if pending.event.type == DELETED else pending.item), pending

    async def _raise(self, error: StoreError, pending: Write | None) -> NoReturn:
        if pending is None:
            raise error
        failed: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        pending.errors.append((failed, error))
        await failed
        raise AssertionError("the future only ever raises")

    def _check(self, key: str) -> None:
        if self._closed is not None:
            raise StoreUnavailable(self._closed)
        if not key:
            raise ValueError("an empty key")
        if not key.isascii():
            key.encode()  # a lone surrogate must fail here, not in the batch of others

    async def _write(self, kind: EventType, item: KeyValue, current: KeyValue | None) -> KeyValue:
        event = Event(
            kind,
            item.key,
            item.value,
            None if current is None else current.value,
            item.revision,
            item.created,
            None if current is None else current.revision,
        )
        return await self._submit(Write(event, item, self._epoch))

    def _enqueue(self, write: Write) -> asyncio.Future[KeyValue]:
        """Note the write as pending; the future ends with ``_committed`` or ``_fail``."""
        write.acknowledged = asyncio.get_running_loop().create_future()
        self._pending[write.event.key] = write
        self._uncommitted.append(write)
        return write.acknowledged

    # Commits

    def _committed(self, count: int) -> None:
        """The oldest ``count`` pending writes are durable."""
        if self._failure:
            self._log.info("writes are durable again")
            self._failure = ""
        committed = [self._uncommitted.popleft() for _ in range(count)]
        for write in committed:
            if self._pending.get(write.event.key) is write:
                del self._pending[write.event.key]
            self._apply(write.event, write.item)
        for write in committed:
            if write.acknowledged is not None and not write.acknowledged.done():
                write.acknowledged.set_result(write.item)
            for failed, error in write.errors:
                if not failed.done():
                    failed.set_exception(error)

    def _apply(self, event: Event, item: KeyValue) -> None:
        if event.type == DELETED and self._transformer is not None:
            self._transformer.forget(event.key)
        self._table.apply(event, item)
        self._history.publish(event)
        if self._history_limit is not None and len(self._history) > self._history_limit:
            self._compact(self._history.oldest(self._history_limit // 4))

    def _fail(self, reason: str) -> None:
        """No pending write is durable: all fail; compares go back to what is visible."""
        if not self._failure and self._closed is None:
            self._log.error("writes fail: %s", reason)
        self._failure = reason
        failed = list(self._uncommitted)
        self._uncommitted.clear()
        self._pending.clear()
        self._epoch += 1
        for write in failed:
            futures: builtins.list[asyncio.Future[Any]] = [future for future, _ in write.errors]
            if write.acknowledged is not None:
                futures.append(write.acknowledged)
            for future in futures:
                if not future.done():
                    future.set_exception(StoreUnavailable(reason))


def render(value: Value, revision: int) -> bytes:
    return b"%b%d%b" % (value.head, revision, value.tail)
