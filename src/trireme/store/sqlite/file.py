"""One SQLite file: a log with one row per write. Schema, opening, loading, appending, compacting.

In: rows from ``writer``, whose thread alone uses this. Out: what the file held, when opened.
A key's newest row is its state; older rows are history until compaction deletes them. That is one
B-tree append per write, and no index to keep.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from trireme.store.contract import (
    CREATED,
    DELETED,
    MODIFIED,
    CannotOpen,
    Event,
    EventType,
    KeyValue,
)

SCHEMA = 1
_APPLICATION = 0x54524952  # "TRIR"
_LARGEST_INSERT = 64  # rows in one statement
_VACUUM_STEP = 256  # pages
_SPARE_PAGES = 1024  # free pages that are always kept for the next writes

_KINDS: tuple[EventType, ...] = (CREATED, MODIFIED, DELETED)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}

_TABLES = """
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,      -- 0 created, 1 modified, 2 deleted
    key TEXT NOT NULL,
    created INTEGER NOT NULL,   -- the revision of the key's creation
    value BLOB NOT NULL,
    crc INTEGER NOT NULL        -- of key and value
) STRICT;
CREATE TABLE compaction (revision INTEGER NOT NULL) STRICT;
INSERT INTO compaction VALUES (0);
"""


class Contents(NamedTuple):
    """What a file held: live items, events after ``compacted``, and rows to reclaim."""

    revision: int
    compacted: int
    items: dict[str, KeyValue]
    events: list[Event]
    dead: list[int]


class StoreFile:
    """The open, exclusively locked file."""

    def __init__(self, connection: sqlite3.Connection, lock: int) -> None:
        self._connection = connection
        self._lock = lock
        self._inserts = {n: _insert(n) for n in range(1, _LARGEST_INSERT + 1)}

    @classmethod
    def open(cls, path: Path) -> StoreFile:
        """Open or make the file. CannotOpen."""
        with _as_cannot_open(path), contextlib.ExitStack() as undo:
            if not path.exists():
                _make(path)
            elif not path.stat().st_size:
                raise CannotOpen(
                    f"{path} is empty, and no store ever is: put a copy of the store in its place, "
                    "or remove it to begin with an empty cluster"
                )
            lock = _lock(path)
            undo.callback(os.close, lock)
            connection = sqlite3.connect(
                path, timeout=0, isolation_level=None, cached_statements=_LARGEST_INSERT + 32
            )
            undo.callback(connection.close)
            _prepare(connection, path)
            undo.pop_all()
            return cls(connection, lock)

    def load(self, path: Path) -> Contents:
        """CannotOpen when what the file holds is not what was written."""
        with _as_cannot_open(path):
            ((compacted,),) = self._connection.execute("SELECT revision FROM compaction")
            return _replay(path, compacted, self._rows())

    def append(self, events: Sequence[Event]) -> None:
        """One durable transaction. sqlite3.Error: nothing of it is in the log."""
        count = len(events)
        if count <= _LARGEST_INSERT:
            # One statement is its own transaction, and asks for the interpreter's lock only once.
            self._insert(events)
            return
        self._connection.execute("BEGIN IMMEDIATE")
        for start in range(0, count, _LARGEST_INSERT):
            self._insert(events[start : start + _LARGEST_INSERT])
        self._connection.execute("COMMIT")

    def roll_back(self, durable: int) -> None:
        """After a failed append: make sure that no row after ``durable`` is left. sqlite3.Error."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        # A commit may report failure although its rows reached the disk.
        self._connection.execute("DELETE FROM log WHERE revision > ?", (durable,))

    def compact(self, revision: int) -> None:
        self._connection.execute("UPDATE compaction SET revision = max(revision, ?)", (revision,))

    def delete(self, revisions: Sequence[int]) -> None:
        """Delete rows, in one transaction.

        Callers go upwards: were a key's deletion gone before its older rows, a crash between the
        two would bring the key back.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(
                "DELETE FROM log WHERE revision = ?", ((revision,) for revision in revisions)
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def shrink(self) -> bool:
        """Give some free pages back to the disk; whether there are more to give.

        A quarter of the file stays free: a steady stream of writes fills it again at once.
        """
        ((free,),) = self._connection.execute("PRAGMA freelist_count")
        ((pages,),) = self._connection.execute("PRAGMA page_count")
        surplus = free - max(_SPARE_PAGES, pages // 4)
        if surplus <= 0:
            return False
        step = min(surplus, _VACUUM_STEP)
        self._connection.execute(f"PRAGMA incremental_vacuum({step})").fetchall()
        return bool(surplus > step)

    def close(self) -> None:
        try:
            self._connection.close()
        finally:
            os.close(self._lock)

    def _insert(self, events: Sequence[Event]) -> None:
        values: list[object] = []
        for event in events:
            key, value = event.key, event.value
            values += (
                event.revision,
                _NUMBERS[event.type],
                key,
                event.created,
                value,
                _crc(key, value),
            )
        self._connection.execute(self._inserts[len(events)], values)

    def _rows(self) -> Iterator[tuple[int, int, str, int, bytes, int]]:
        return self._connection.execute(
            "SELECT revision, kind, key, created, value, crc FROM log ORDER BY revision"
        )


def _insert(rows: int) -> str:
    return f"INSERT INTO log VALUES {','.join(['(?,?,?,?,?,?)'] * rows)}"


def _crc(key: str, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(key.encode()))


def _make(path: Path) -> None:
    """Make the file, whole or not at all: one that is empty was emptied by somebody."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    # Values hold Secrets: the file, and with it its log, is for its owner only.
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as connection:
            # Both must precede the first table and the log.
            connection.execute("PRAGMA page_size = 4096")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION};"
                f"PRAGMA user_version = {SCHEMA}; COMMIT;"
            )
        # Not in place of one that another process has made meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink()


def _lock(path: Path) -> int:
    """Lock the file, and return the descriptor that holds the lock.

    SQLite locks it as well, but a POSIX lock falls when its process closes any descriptor of the
    file, whoever had opened that. This one stays; it also outlives us in a process forked off.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise _locked(path) from error
    return descriptor


def _locked(path: Path) -> CannotOpen:
    return CannotOpen(f"{path} is locked: another process has it open")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Lock the file and check what it is."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    ((application,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    if application != _APPLICATION:
        raise CannotOpen(f"{path} is an SQLite database, but not a Trireme store")
    if version > SCHEMA:
        raise CannotOpen(
            f"{path} has schema version {version}; this Trireme knows up to {SCHEMA}: "
            "it was written by a newer one"
        )
    ((mode,),) = connection.execute("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise CannotOpen(f"{path}: the file system allows no write-ahead log (got {mode})")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 2000")
    connection.execute(f"PRAGMA journal_size_limit = {64 << 20}").fetchall()
    connection.execute("PRAGMA cache_size = -1024")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")


def _replay(
    path: Path, compacted: int, rows: Iterator[tuple[int, int, str, int, bytes, int]]
) -> Contents:
    items: dict[str, KeyValue] = {}
    events: list[Event] = []
    dead: list[int] = []
    newest = max(1, compacted)
    for revision, number, key, created, value, crc in rows:
        if crc != _crc(key, value) or not 0 <= number < len(_KINDS):
            raise CannotOpen(f"{path} is corrupt: {key} at revision {revision} is not as written")
        kind, current = _KINDS[number], items.get(key)
        if revision > compacted:
            if (current is None) != (kind == CREATED):
                raise CannotOpen(f"{path} is corrupt: {key} at revision {revision} has no past")
            events.append(
                Event(
                    kind,
                    key,
                    value,
                    None if current is None else current.value,
                    revision,
                    created,
                    None if current is None else current.revision,
                )
            )
        else:  # what an interrupted compaction left
            if current is not None:
                dead.append(current.revision)
            if kind == DELETED:
                dead.append(revision)
        if kind == DELETED:
            items.pop(key, None)
        else:
            items[key] = KeyValue(key, value, revision, created)
        newest = max(newest, revision)
    return Contents(newest, compacted, items, events, sorted(dead))


@contextlib.contextmanager
def _as_cannot_open(path: Path) -> Iterator[None]:
    """SQLite's errors as ``CannotOpen``."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise _locked(path) from error
        raise CannotOpen(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise CannotOpen(f"{path} is corrupt: {error}") from error
    except OSError as error:
        raise CannotOpen(f"{path}: {error.strerror}") from error
