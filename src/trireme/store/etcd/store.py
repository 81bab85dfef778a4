"""The etcd engine: writes are transactions, reads come from a watch cache.

In, out and callers: see ``contract``; other servers write as well. The cache follows one watch of
the whole key space, so that it sees every revision and knows by ``barrier`` when it has caught up.
A write is visible, and returns, once the cache has it; its own writes the cache takes from the
response when nothing is between. Upstream: apiserver ``storage/etcd3`` and ``storage/cacher``.

States of the follower: *loading* (list at a revision that is not compacted, then watch from
there), *following*, *lost* (the watch broke: another member, from the last revision on). A server
that is lost for longer than the history is kept loads anew, and its watchers start anew.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine, Iterable
from typing import Any, NamedTuple, NoReturn

from grpc import aio

from trireme.store.codec import Codec, Slots
from trireme.store.contract import (
    CREATED,
    DELETED,
    MODIFIED,
    CannotOpen,
    Conflict,
    Event,
    FutureRevision,
    KeyExists,
    KeyMissing,
    KeyValue,
    StoreUnavailable,
    Unreadable,
    Value,
)
from trireme.store.engine import Engine, render
from trireme.store.etcd import messages
from trireme.store.etcd.leases import Leases
from trireme.store.etcd.members import CALL, EtcdConfig, EtcdError, Members
from trireme.store.etcd.pb import etcd_pb2 as pb

# Revisions of the past that a starting server reads, where they are not compacted.
_REPLAY = 10_000
_PAGE = 5_000
# Seconds: to find etcd at the start, for the cache to catch up, for a watch to be there, between
# tries.
_OPEN = 20.0
_CATCH_UP = 3.0
_CREATED = 5.0
_RETRY = 0.1
_LONGEST_RETRY = 1.0


class _Compacted(Exception):
    """The watch cannot go on: the history up to ``revision`` is gone."""

    def __init__(self, revision: int) -> None:
        self.revision = revision


class _Own(NamedTuple):
    """A write of this server. ``value`` None: a deletion's is what was there."""

    key: str
    revision: int
    value: bytes | None
    deleted: bool = False


class EtcdStore(Engine):
    """``codec`` says what keys and values are in etcd."""

    expires = True
    shared = True

    def __init__(
        self, config: EtcdConfig, *, codec: Codec | None = None, history: int | None = None
    ) -> None:
        super().__init__(history=history)
        self._config = config
        self._codec: Codec = codec or Slots()
        self._running: set[asyncio.Task[Any]] = set()
        self._tails: dict[str, asyncio.Task[KeyValue]] = {}
        # What was written here and is not in the cache yet, by revision.
        self._own: dict[int, _Own] = {}
        # The final values of the keys that are being deleted here; None: what was there.
        self._final: dict[str, Value | None] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._asked = 0
        self._reading: asyncio.Task[int] | None = None
        self._next_reading: asyncio.Task[int] | None = None
        self._follower: asyncio.Task[None] | None = None
        self._turn = 0  # the version of the compaction key that was seen last
        self._lost = ""
        # Until when the watch may be silent: for ever, once it is there and not known to be behind.
        self._patience: asyncio.Timeout | None = None

    # Life cycle

    _members: Members
    _leases: Leases

    async def start(self) -> None:
        """CannotOpen where etcd cannot be reached."""
        self._members = Members(self._config, self._log)
        self._leases = Leases(self._members, self._config.lease_reuse)
        try:
            async with asyncio.timeout(_OPEN):
                while True:
                    try:
                        newest = await self._load()
                        break
                    except StoreUnavailable as error:
                        self._lost = str(error)
                        await asyncio.sleep(_RETRY)
            self._follower = asyncio.create_task(self._follow(), name="etcd watch")
            await self._until(newest, _OPEN)
        except (TimeoutError, StoreUnavailable) as error:
            await self._end()
            servers = ", ".join(self._config.servers)
            reason = self._lost or str(error) or f"etcd cannot be reached: {servers}"
            raise CannotOpen(reason) from None
        except BaseException:
            await self._end()
            raise
        await super().start()

    async def close(self) -> None:
        """Waits for the writes that are under way."""
        if self._closed is None:
            self._closed = "the store is closed"
            if self._running:
                await asyncio.wait(self._running)
            await self._end()
        await super().close()

    async def _end(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait({self._follower})
        await self._members.close()

    # Writes

    async def create(self, key: str, value: Value, ttl: int = 0) -> KeyValue:
        self._check(key)
        return await self._in_turn(key, self._put(key, value, 0, ttl))

    async def update(
        self, key: str, value: Value, expect: int | None = None, ttl: int = 0
    ) -> KeyValue:
        self._check(key)
        return await self._in_turn(key, self._put(key, value, expect, ttl))

    async def delete(
        self, key: str, expect: int | None = None, value: Value | None = None
    ) -> KeyValue:
        self._check(key)
        return await self._in_turn(key, self._delete(key, expect, value))

    async def _in_turn(self, key: str, write: Coroutine[Any, Any, KeyValue]) -> KeyValue:
        """Writes of one key go in their order; whoever waits for one may go away."""
        before = self._tails.get(key)
        task = asyncio.create_task(self._after(before, write) if before is not None else write)
        self._tails[key] = task
        self._running.add(task)

        def done(_: asyncio.Task[KeyValue]) -> None:
            self._running.discard(task)
            if self._tails.get(key) is task:
                del self._tails[key]
            if not task.cancelled():
                task.exception()  # somebody may have stopped waiting for it

        task.add_done_callback(done)
        return await asyncio.shield(task)

    async def _after(
        self, before: asyncio.Task[KeyValue], write: Coroutine[Any, Any, KeyValue]
    ) -> KeyValue:
        await asyncio.wait({before})
        return await write

    async def _put(self, key: str, value: Value, expect: int | None, ttl: int) -> KeyValue:
        raw, stored = self._codec.key(key), self._codec.encode(key, value)
        if self._transformer is not None:
            stored = self._transformer.to_storage(key, stored)
        lease = await self._leases.lease(ttl) if ttl else 0
        before = self._table.get(key) if expect != 0 else None
        revision = await self._commit(key, expect, messages.put(raw, stored, lease))
        return await self._visible(_Own(key, revision, render(value, revision)), before)

    async def _delete(self, key: str, expect: int | None, value: Value | None) -> KeyValue:
        before = self._table.get(key)
        self._final[key] = value
        try:
            revision = await self._commit(key, expect, messages.remove(self._codec.key(key)))
            final = None if value is None else render(value, revision)
            return await self._visible(_Own(key, revision, final, deleted=True), before)
        finally:
            self._final.pop(key, None)

    async def _commit(self, key: str, expect: int | None, change: pb.RequestOp) -> int:
        """The revision of the change. KeyExists, KeyMissing, Conflict, StoreUnavailable."""
        request = messages.write(self._codec.key(key), expect, change)
        try:
            answer = await self._members.call("Txn", request)
        except StoreUnavailable as error:
            if not self._failure:
                self._log.error("writes fail: %s", error)
            self._failure = str(error)
            raise
        if self._failure:
            self._log.info("writes are durable again")
            self._failure = ""
        revision = int(answer.header.revision)
        if not answer.succeeded:
            await self._until(revision, _CATCH_UP)
            self._refuse(key, expect, answer)
        return revision

    def _refuse(self, key: str, expect: int | None, answer: pb.TxnResponse) -> NoReturn:
        found = answer.responses[0].response_range.kvs
        if not found:
            raise KeyMissing(key)
        item = found[0]
        current = self._present(key, item.mod_revision)
        if current is None:
            value = self._read_stored(key, item.value, item.mod_revision)
            current = KeyValue(key, value, item.mod_revision, item.create_revision)
        if expect == 0:
            raise KeyExists(key, current)
        raise Conflict(current, expect or 0)

    def _present(self, key: str, revision: int) -> KeyValue | None:
        """The item in the cache, where it is the one of a revision."""
        item = self._table.get(key)
        return item if item is not None and item.revision == revision else None

    async def _visible(self, own: _Own, before: KeyValue | None) -> KeyValue:
        """Have the cache take a write of ours, in its order. ``before``: what it had."""
        key, revision = own.key, own.revision
        if revision == self.revision + 1:
            item = self._take_own(own)
            self._take_following()
            return item
        if revision > self.revision:
            self._own[revision] = own
            try:
                await self._until(revision, _CATCH_UP)
            except StoreUnavailable:
                pass  # it is written all the same
            finally:
                self._own.pop(revision, None)
        made = self._present(key, revision)
        if made is not None:
            return made
        value = own.value if own.value is not None else b"" if before is None else before.value
        return KeyValue(key, value, revision, revision if before is None else before.created)

    def _take_following(self) -> None:
        """Take what was written here next, and wake who waits."""
        while self._own and (own := self._own.pop(self.revision + 1, None)) is not None:
            self._take_own(own)
        self._wake()

    def _take_own(self, own: _Own) -> KeyValue:
        """Take a write of ours, the next one of all."""
        key, revision, value = own.key, own.revision, own.value
        before = self._table.get(key)
        if before is None:
            item = KeyValue(key, value or b"", revision, revision)
        else:
            item = KeyValue(key, before.value if value is None else value, revision, before.created)
        if own.deleted and before is None:
            self._history.advance(revision)
            return item
        kind = DELETED if own.deleted else CREATED if before is None else MODIFIED
        self._take(_event(kind, item, before), item)
        return item

    def _take(self, event: Event, item: KeyValue) -> None:
        if self._unreadable:
            self._unreadable.pop(item.key, None)
        self._apply(event, item)

    # Catching up

    async def barrier(self) -> int:
        """Wait until the cache has what a linearizable read sees. StoreUnavailable.

        All who ask while one read is under way share the next.
        """
        if self._closed is not None:
            raise StoreUnavailable(self._closed)
        task = self._next_reading
        if task is None:
            task = asyncio.create_task(self._read_revision(self._reading))
            self._next_reading = task
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        revision = await asyncio.shield(task)
        if revision > self.revision:
            await self._until(revision, _CATCH_UP)
        return revision

    async def _read_revision(self, before: asyncio.Task[int] | None) -> int:
        if before is not None and not before.done():
            await asyncio.wait({before})
        self._reading, self._next_reading = self._next_reading, None
        answer = await self._members.read("Range", messages.newest())
        return int(answer.header.revision)

    async def _until(self, revision: int, seconds: float) -> None:
        """Wait until the cache has a revision. StoreUnavailable."""
        if revision <= self.revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked += 1
        heapq.heappush(self._waiting, (revision, self._asked, waiter))
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            if self._patience is not None and not self._patience.expired():
                # Its member hangs, or is cut off: what others know does not come from there.
                self._patience.reschedule(asyncio.get_running_loop().time())
            reason = self._lost or f"revision {revision} has not come"
            raise StoreUnavailable(f"the watch of etcd is behind: {reason}") from None

    def _wake(self) -> None:
        revision, waiting = self.revision, self._waiting
        while waiting and (waiting[0][0] <= revision or waiting[0][2].done()):
            waiter = heapq.heappop(waiting)[2]
            if not waiter.done():
                waiter.set_result(None)

    # Following

    async def _load(self) -> int:
        """Read everything at a revision from which on the history is there; the newest one."""
        answer = await self._members.read("Range", messages.newest())
        newest = int(answer.header.revision)
        base = max(1, newest - _REPLAY)
        while True:
            compacted = await self._compacted(base)
            if compacted <= base:
                break
            base = compacted
        items: dict[str, KeyValue] = {}
        unreadable: dict[str, str] = {}
        after, more = b"", True
        while more:
            request = messages.page(after, base, _PAGE)
            page = await self._members.read("Range", request, timeout=_OPEN)
            await self._prepare(page.kvs)
            for found in page.kvs:
                key = self._name(found.key)
                if key is None:
                    continue
                value = self._decode(key, found.value, found.mod_revision, unreadable)
                items[key] = KeyValue(key, value, found.mod_revision, found.create_revision)
            more = page.more
            if more:
                after = page.kvs[-1].key
        self._own.clear()
        self._table.restore(items)
        self._unreadable = unreadable
        self._history.reset(base, base if base > 1 else 0)
        self._wake()
        return newest

    async def _compacted(self, revision: int) -> int:
        """The revision up to which the history is gone, at least ``revision``."""
        try:
            request = pb.RangeRequest(key=messages.COMPACT_KEY, revision=revision)
            await self._members.read("Range", request)
            return revision
        except EtcdError as refused:
            if "compacted" not in refused.detail:
                raise
        member, stream = await self._members.watch()
        try:
            # Only a watch says what the number is. A stream has no limit of its own.
            async with asyncio.timeout(CALL):
                await stream.write(messages.watch(revision - 1))
                while (response := await stream.read()) is not aio.EOF:
                    if response.compact_revision:
                        return int(response.compact_revision)
            raise StoreUnavailable("etcd ended the watch")
        except TimeoutError:
            self._members.leave(member)
            raise StoreUnavailable(f"{member.url} does not answer") from None
        except aio.AioRpcError as error:
            raise EtcdError(error) from None
        finally:
            stream.cancel()

    async def _follow(self) -> None:
        delay = _RETRY
        while True:
            try:
                at = self.revision
                await self._watch()
            except _Compacted as gone:
                self._log.warning(
                    "the history up to revision %d is gone: all is read again", gone.revision
                )
                try:
                    await self._load()
                except StoreUnavailable as error:
                    self._lose(str(error))
            except StoreUnavailable as error:
                self._lose(str(error))
            except Exception:
                self._log.exception("the watch of etcd failed")
                self._lose("the watch failed")
            if self.revision > at:
                delay = _RETRY
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_RETRY)

    def _lose(self, reason: str) -> None:
        if not self._lost:
            self._log.warning("the watch of etcd is lost: %s", reason)
        self._lost = reason

    async def _watch(self) -> None:
        """Follow one stream until it breaks. StoreUnavailable, _Compacted."""
        member, stream = await self._members.watch()
        try:
            async with asyncio.timeout(_CREATED) as self._patience:
                await stream.write(messages.watch(self.revision))
                while (response := await stream.read()) is not aio.EOF:
                    if response.compact_revision:
                        raise _Compacted(int(response.compact_revision))
                    if response.canceled:
                        raise StoreUnavailable(response.cancel_reason or "etcd ended the watch")
                    if response.created:
                        self._patience.reschedule(None)
                        if self._lost:
                            self._log.info("the watch of etcd is back")
                            self._lost = ""
                    if response.events:
                        await self._prepare(event.kv for event in response.events)
                        self._receive(response.events)
            raise StoreUnavailable("etcd ended the stream")
        except aio.AioRpcError as error:
            self._members.leave(member)
            raise EtcdError(error) from None
        except TimeoutError:
            self._members.leave(member)
            raise StoreUnavailable(f"{member.url} does not answer") from None
        except StoreUnavailable:
            self._members.leave(member)
            raise
        finally:
            self._patience = None
            stream.cancel()

    def _receive(self, events: Any) -> None:
        # What one transaction wrote has one revision.
        floor = self.revision
        for event in events:
            found = event.kv
            revision = found.mod_revision
            if revision <= floor:
                continue
            if revision in self._own and revision == self.revision + 1:
                self._take_following()
                # Maybe several of ours, one after the other.
                floor = self.revision
                continue
            key = self._name(found.key)
            if key is None:
                self._history.advance(revision)
            elif event.type == pb.Event.DELETE:
                self._receive_deletion(key, revision)
            else:
                self._receive_put(key, found)
        self._take_following()

    def _receive_put(self, key: str, found: Any) -> None:
        revision = found.mod_revision
        unreadable: dict[str, str] = {}
        value = self._decode(key, found.value, revision, unreadable)
        item = KeyValue(key, value, revision, found.create_revision)
        before = self._table.get(key)
        self._take(_event(CREATED if before is None else MODIFIED, item, before), item)
        if unreadable:
            self._unreadable |= unreadable

    def _receive_deletion(self, key: str, revision: int) -> None:
        before = self._table.get(key)
        if before is None:
            self._history.advance(revision)
            return
        if key not in self._final:
            value = self._codec.last(before.value, revision)
        else:
            final = self._final[key]
            value = before.value if final is None else render(final, revision)
        item = KeyValue(key, value, revision, before.created)
        self._take(_event(DELETED, item, before), item)

    def _name(self, raw: bytes) -> str | None:
        """The key of what etcd has, None where it is no item of ours."""
        return None if raw == messages.COMPACT_KEY else self._codec.name(raw)

    def _decode(self, key: str, raw: bytes, revision: int, unreadable: dict[str, str]) -> bytes:
        try:
            return self._read_stored(key, raw, revision)
        except Unreadable as error:
            unreadable[key] = error.reason
            return raw

    def _read_stored(self, key: str, data: bytes, revision: int) -> bytes:
        return self._codec.decode(key, super()._read_stored(key, data, revision), revision)

    async def _prepare(self, found: Iterable[Any]) -> None:
        """Before items are read."""
        if self._transformer is not None and self._transformer.asks:
            named = ((self._name(item.key), item.value) for item in found)
            await self._transformer.prepare([(key, value) for key, value in named if key])

    # Compaction

    async def compact(self, revision: int) -> None:
        """Forget the history here, and in etcd where it is this server's turn."""
        if self._closed is not None:
            raise StoreUnavailable(self._closed)
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision > self.compacted:
            self._compact(revision)
        answer = await self._members.call("Txn", messages.compaction(self._turn, revision))
        if not answer.succeeded:
            found = answer.responses[0].response_range.kvs
            self._turn = int(found[0].version) if found else 0
            return
        self._turn += 1
        try:
            await self._members.call("Compact", pb.CompactionRequest(revision=revision))
        except EtcdError as error:
            if "compacted" not in error.detail:
                raise


def _event(kind: Any, item: KeyValue, before: KeyValue | None) -> Event:
    return Event(
        kind,
        item.key,
        item.value,
        None if before is None else before.value,
        item.revision,
        item.created,
        None if before is None else before.revision,
    )
