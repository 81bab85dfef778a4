"""The writer thread: group commit, and compaction in the pauses between commits.

In: writes and compactions through a queue, from the event loop (``store``). Out: calls of
``Reports``, in this thread: opened, committed n, failed, reclaimed, stopped.
All writes waiting at an instant share one transaction and one fsync.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from trireme.store.contract import CannotOpen
from trireme.store.engine import Write
from trireme.store.sqlite.file import Contents, StoreFile

_LARGEST_BATCH = 512  # writes: bounds what the first of them waits
_CHUNK = 500  # rows deleted in one transaction
_BATCHES_PER_CHUNK = 8  # commits between two chunks under a constant stream of writes


class Compaction(NamedTuple):
    """Record ``revision`` as compacted and delete the rows ``dead``, ascending."""

    revision: int
    dead: Sequence[int]
    ticket: int


class Reports(Protocol):
    """What the thread reports to; each method is called in the thread."""

    def opened(self, contents: Contents) -> None: ...
    def not_opened(self, error: Exception) -> None: ...
    def committed(self, count: int) -> None: ...
    def failed(self, reason: str) -> None: ...
    def reclaimed(self, ticket: int, error: str | None) -> None: ...
    def stopped(self) -> None: ...


class Writer:
    def __init__(
        self, path: Path, open_file: Callable[[Path], StoreFile], reports: Reports
    ) -> None:
        self._path = path
        self._open_file = open_file
        self._reports = reports
        self._queue: SimpleQueue[Write | Compaction | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"store {path}", daemon=True)
        self._compactions: deque[Compaction] = deque()
        self._unrecorded = 0  # a compacted revision that the file does not know yet
        self._dead: deque[int] = deque()
        self._durable = 0
        self._failed_epoch = -1
        self._uncertain = False
        self._batches = 0
        self._progress = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def submit(self, item: Write | Compaction) -> None:
        self._queue.put(item)

    def stop(self) -> None:
        """Commit what is queued, close the file, report ``stopped``."""
        self._queue.put(None)

    def wait_for_commit(self, seconds: float) -> bool:
        """Called by the loop: let this thread run; whether it commits within ``seconds``."""
        self._progress.clear()
        return self._progress.wait(seconds)

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            file = self._open_file(self._path)
            try:
                contents = file.load(self._path)
            except BaseException:
                file.close()
                raise
        except Exception as error:
            self._reports.not_opened(error if isinstance(error, CannotOpen) else CannotOpen(error))
            return
        self._durable = contents.revision
        self._dead.extend(contents.dead)
        self._reports.opened(contents)
        try:
            self._serve(file)
        finally:
            try:
                file.close()
            finally:
                self._reports.stopped()

    def _serve(self, file: StoreFile) -> None:
        running = True
        while running:
            batch: list[Write] = []
            running = self._take(batch)
            if batch:
                self._commit(file, batch)
            if self._compactions and (self._queue.empty() or self._batches >= _BATCHES_PER_CHUNK):
                self._batches = 0
                self._reclaim(file)
        self._recover(file)

    def _take(self, batch: list[Write]) -> bool:
        """Move what is queued to where it belongs; False once the store is to stop."""
        queue = self._queue
        wait = not self._compactions
        while len(batch) < _LARGEST_BATCH and (wait or not queue.empty()):
            wait = False
            item = queue.get()
            if item is None:
                return False
            if isinstance(item, Compaction):
                self._compactions.append(item)
                self._unrecorded = max(self._unrecorded, item.revision)
                self._dead.extend(item.dead)
            elif item.epoch > self._failed_epoch:
                batch.append(item)
        return True

    def _commit(self, file: StoreFile, batch: list[Write]) -> None:
        self._batches += 1
        try:
            self._recover(file)
            file.append([write.stored for write in batch])
        except Exception as error:
            # Writes compared against the batch fail with it: the loop fails what it has queued of
            # this epoch, and we skip it.
            self._failed_epoch = batch[-1].epoch
            self._uncertain = True
            self._reports.failed(_reason(self._path, error))
            return
        finally:
            self._progress.set()
        self._durable = batch[-1].event.revision
        self._reports.committed(len(batch))

    def _recover(self, file: StoreFile) -> None:
        """After a failed commit: nothing of it may be in the file when the next one begins."""
        if self._uncertain:
            file.roll_back(self._durable)
            self._uncertain = False

    def _reclaim(self, file: StoreFile) -> None:
        """One step of compaction."""
        try:
            self._recover(file)
            if self._unrecorded:
                # Before the first row goes: a crash must not leave a history with holes.
                file.compact(self._unrecorded)
                self._unrecorded = 0
            if self._dead:
                chunk = [self._dead[i] for i in range(min(_CHUNK, len(self._dead)))]
                file.delete(chunk)
                for _ in chunk:
                    self._dead.popleft()
                return
            if file.shrink():
                return
            error = None
        except Exception as failure:
            # What is left is tried again with the next compaction.
            error = _reason(self._path, failure)
        while self._compactions:
            self._reports.reclaimed(self._compactions.popleft().ticket, error)


def _reason(path: Path, error: Exception) -> str:
    """The message that clients get: whoever runs the server has to know which disk it is."""
    kind = "" if isinstance(error, sqlite3.Error) else f"{type(error).__name__}: "
    return f"{path}: {kind}{error}"
