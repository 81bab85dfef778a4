"""The SQLite engine on the event loop: queues writes, makes visible what the thread committed.

In, out and callers: see ``contract``. Reads come from memory; the file is read once, at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from trireme.store.contract import KeyValue, StoreUnavailable, Unreadable
from trireme.store.engine import Engine, Write
from trireme.store.sqlite.file import Contents, StoreFile
from trireme.store.sqlite.writer import Compaction, Writer

_COMMIT_DELAY = 0.001  # seconds without a commit before the loop waits for the thread
_WAIT = 0.0005  # seconds that it then waits at most
_LONGEST_DELAY = 0.064


class SqliteStore(Engine):
    """``path`` is made if it is missing; its folder is not. ``open_file`` lets tests inject errors.

    One process has the file open at a time. It starts once.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        history: int | None = None,
        open_file: Callable[[Path], StoreFile] = StoreFile.open,
    ) -> None:
        super().__init__(history=history)
        self._path = Path(path)
        self._writer = Writer(self._path, open_file, _OnLoop(self))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[Contents] | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._compactions: dict[int, asyncio.Future[None]] = {}
        self._tickets = 0
        self._watching = False  # whether _watch_thread is due
        self._commits = 0  # since the start

    async def start(self) -> None:
        """CannotOpen."""
        if self._loop is not None:
            raise RuntimeError("a store starts once")
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._stopped = self._loop.create_future()
        self._writer.start()
        try:
            contents = await self._opened
        except asyncio.CancelledError:
            self._writer.stop()  # it may open the file after all, and must not keep it
            raise
        contents = await self._transformed(contents)
        self._assigned = contents.revision
        self._table.restore(contents.items)
        self._history.restore(contents.revision, contents.compacted, contents.events)
        await super().start()

    async def _transformed(self, contents: Contents) -> Contents:
        """What the file held, as it was before it was encrypted."""
        transformer = self._transformer
        if transformer is None:
            return contents
        stored = [(event.key, event.value) for event in contents.events]
        stored += [(item.key, item.value) for item in contents.items.values()]
        if transformer.asks:
            await transformer.prepare(stored)
        # Items and events share their bytes, and go on to do so.
        plain: dict[int, bytes] = {}
        for key, data in stored:
            if id(data) not in plain:
                try:
                    plain[id(data)] = transformer.from_storage(key, data)
                except Unreadable as error:
                    plain[id(data)] = data
                    self._unreadable[key] = error.reason
        # Of a key that can be read now only older values could not.
        for key in list(self._unreadable):
            item = contents.items.get(key)
            if item is None or plain[id(item.value)] is not item.value:
                del self._unreadable[key]
        if all(plain[id(data)] is data for _, data in stored):
            return contents
        items = {
            key: KeyValue(key, plain[id(item.value)], item.revision, item.created)
            for key, item in contents.items.items()
        }
        events = [
            msgspec.structs.replace(
                event,
                value=plain[id(event.value)],
                previous=event.previous and plain.get(id(event.previous), event.previous),
            )
            for event in contents.events
        ]
        return contents._replace(items=items, events=events)

    async def close(self) -> None:
        """Commits what is queued first."""
        if self._closed is None:
            self._closed = "the store is closed"
            self._writer.stop()
        if self._stopped is not None:
            await asyncio.shield(self._stopped)
            self._writer.join()
        await super().close()

    async def size(self) -> int:
        """The file, and the log of what is not in it yet."""
        found = 0
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            with contextlib.suppress(FileNotFoundError):
                found += path.stat().st_size
        return found

    async def _submit(self, write: Write) -> KeyValue:
        if self._transformer is not None:
            event = write.event
            stored = self._transformer.to_storage(event.key, event.value)
            if stored is not event.value:
                write.stored = msgspec.structs.replace(event, value=stored)
        acknowledged = self._enqueue(write)
        self._writer.submit(write)
        if not self._watching:
            self._watch_later(_COMMIT_DELAY, self._commits)
        return await acknowledged

    def _watch_later(self, delay: float, commits: int) -> None:
        self._watching = True
        asyncio.get_running_loop().call_later(delay, self._watch_thread, commits, delay)

    def _watch_thread(self, commits: int, delay: float) -> None:
        """Keep a busy loop from starving the writer thread of the interpreter's lock.

        A loop that never idles lets go of the lock only for microseconds at a time, and CPython
        starts a waiter's time-out anew each time: it can wait for seconds. So when nothing was
        committed for a while, wait until the thread has committed, or for a moment. A slow disk is
        no starvation: for it these waits grow rare.
        """
        self._watching = False
        if not self._uncommitted:
            return
        if self._commits != commits:
            self._watch_later(_COMMIT_DELAY, self._commits)
        elif self._writer.wait_for_commit(_WAIT):
            self._watch_later(_COMMIT_DELAY, commits + 1)  # its report is on the way
        else:
            self._watch_later(min(2 * delay, _LONGEST_DELAY), commits)

    def _reclaim(self, revision: int, dead: Sequence[int]) -> None:
        self._tickets += 1
        self._writer.submit(Compaction(revision, dead, self._tickets))

    async def _reclaimed(self) -> None:
        # An empty compaction queued behind all others ends when they have.
        self._tickets += 1
        done = asyncio.get_running_loop().create_future()
        self._compactions[self._tickets] = done
        self._writer.submit(Compaction(0, [], self._tickets))
        await done

    # What the writer reports, on the loop

    def _committed(self, count: int) -> None:
        self._commits += 1
        super()._committed(count)

    def _on_opened(self, contents: Contents) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(contents)

    def _on_not_opened(self, error: Exception) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(error)
        if self._stopped is not None:
            self._stopped.set_result(None)

    def _on_reclaimed(self, ticket: int, error: str | None) -> None:
        done = self._compactions.pop(ticket, None)
        if done is None or done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(StoreUnavailable(error))

    def _on_stopped(self) -> None:
        if self._closed is None:
            self._closed = "the writer thread died"
            self._log.error("%s", self._closed)
        self._fail(self._closed)
        for ticket in list(self._compactions):
            self._on_reclaimed(ticket, self._closed)
        if self._stopped is not None:
            self._stopped.set_result(None)


class _OnLoop:
    """Carries the writer's reports from its thread to the loop, one wake-up per batch."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def opened(self, contents: Contents) -> None:
        self._call(self._store._on_opened, contents)

    def not_opened(self, error: Exception) -> None:
        self._call(self._store._on_not_opened, error)

    def committed(self, count: int) -> None:
        self._call(self._store._committed, count)

    def failed(self, reason: str) -> None:
        self._call(self._store._fail, reason)

    def reclaimed(self, ticket: int, error: str | None) -> None:
        self._call(self._store._on_reclaimed, ticket, error)

    def stopped(self) -> None:
        self._call(self._store._on_stopped)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        loop = self._store._loop
        assert loop is not None
        loop.call_soon_threadsafe(function, *args)
