"""What only the SQLite engine promises: the file, the disk's failures, group commit, the thread."""

# ruff: noqa: ASYNC240 - files of a few kilobytes, and nobody waits for this loop

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from trireme.store.contract import CannotOpen, Compacted, KeyValue, StoreUnavailable, Value
from trireme.store.sqlite import SqliteStore
from trireme.store.sqlite.file import SCHEMA, StoreFile


def slot(text: str, size: int = 0) -> Value:
    return Value(f"{text}@".encode(), b"." + b"x" * size)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


# Restarts


async def test_everything_is_there_after_a_restart(path: Path):
    async with SqliteStore(path) as store:
        first = await store.create("/r/a", slot("1"))
        second = await store.update("/r/a", slot("2"))
        other = await store.create("/r/b", slot("3"))
        gone = await store.delete("/r/a", None, slot("4"))
        events = await store.watch("", 1).next()
    async with SqliteStore(path) as store:
        assert store.revision == gone.revision
        assert store.list("").items == [other]
        assert await store.watch("", 1).next() == events
        assert await store.watch("/r/", other.revision).next() == events[3:]
        assert store.list("/r/", revision=second.revision).items == [second]
        assert store.list("/r/", revision=first.revision).items == [first]
        assert (await store.create("/r/a", slot("5"))).revision > gone.revision


async def test_compaction_outlives_a_restart(path: Path):
    async with SqliteStore(path) as store:
        await store.create("/r/a", slot("1"))
        kept = await store.update("/r/a", slot("2"))
        await store.create("/r/b", slot("3"))
        gone = await store.delete("/r/b")
        await store.compact(gone.revision)
    async with SqliteStore(path) as store:
        assert (store.revision, store.compacted) == (gone.revision, gone.revision)
        assert store.list("").items == [kept]
        with pytest.raises(Compacted):
            store.watch("", gone.revision - 1)
    assert [row[0] for row in read(path, "SELECT revision FROM log")] == [kept.revision]


async def test_an_interrupted_compaction_is_finished_by_the_next(path: Path):
    async with SqliteStore(path) as store:
        await store.create("/r/a", slot("1"))
        for number in range(5):
            kept = await store.update("/r/a", slot(str(number)))
        await store.create("/r/b", slot("1"))
        gone = await store.delete("/r/b")
    # As if it had been killed after recording the revision and deleting the first row.
    read(path, f"UPDATE compaction SET revision = {gone.revision}")
    read(path, "DELETE FROM log WHERE revision = 2")
    async with SqliteStore(path) as store:
        assert (store.compacted, store.list("").items) == (gone.revision, [kept])
        await store.compact(store.revision)
    assert [row[0] for row in read(path, "SELECT revision FROM log")] == [kept.revision]


async def test_compaction_gives_space_back(path: Path):
    async with SqliteStore(path) as store:
        await store.create("/r/a", slot("x"))
        for number in range(200):
            await asyncio.gather(
                *(store.update("/r/a", slot(str(number), 8000)) for _ in range(20))
            )
        before = path.stat().st_size
        await store.compact(store.revision)
    assert before > 25_000_000
    assert path.stat().st_size < 6_000_000


async def test_space_of_compacted_history_is_used_again(path: Path):
    sizes = []
    async with SqliteStore(path) as store:
        await store.create("/r/a", slot("x"))
        for _ in range(6):
            await asyncio.gather(*(store.update("/r/a", slot("x", 4000)) for _ in range(1000)))
            await store.compact(store.revision)
            sizes.append(path.stat().st_size)
    assert max(sizes[2:]) <= 2 * sizes[1]


# Refusals


async def test_a_second_opener_is_refused(path: Path):
    async with SqliteStore(path) as store:
        await store.create("/a", slot("x"))
        with pytest.raises(CannotOpen, match="locked: another process has it open"):
            await SqliteStore(path).start()
        assert "locked: another process has it open" in await open_elsewhere(path)
        # Any other descriptor that this process closes drops SQLite's own lock.
        path.read_bytes()
        assert "locked: another process has it open" in await open_elsewhere(path)
        await store.create("/b", slot("x"))
    async with SqliteStore(path) as store:
        assert store.count("") == 2


async def test_a_refused_store_can_be_closed(path: Path):
    path.write_bytes(b"not a database" * 1000)
    store = SqliteStore(path)
    with pytest.raises(CannotOpen):
        await store.start()
    await store.close()


async def test_a_newer_schema_is_refused(path: Path):
    async with SqliteStore(path) as store:
        await store.create("/a", slot("x"))
    read(path, f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(CannotOpen, match=f"schema version {SCHEMA + 1}.*newer"):
        await SqliteStore(path).start()
    read(path, f"PRAGMA user_version = {SCHEMA}")
    async with SqliteStore(path) as store:
        assert store.count("") == 1


async def test_another_database_is_refused(path: Path):
    read(path, "CREATE TABLE theirs (x)")
    with pytest.raises(CannotOpen, match="not a Trireme store"):
        await SqliteStore(path).start()
    assert read(path, "SELECT name FROM sqlite_master") == [("theirs",)]


async def test_what_is_no_database_is_refused(path: Path):
    path.write_text("apiVersion: v1\n" * 500)
    with pytest.raises(CannotOpen, match="not a database"):
        await SqliteStore(path).start()
    with pytest.raises(CannotOpen, match="No such file"):
        await SqliteStore(path.parent / "missing" / "store.db").start()
    with pytest.raises(CannotOpen, match="Is a directory"):
        await SqliteStore(path.parent).start()


@pytest.mark.parametrize("damage", ["page", "value"])
async def test_a_corrupt_file_is_refused(path: Path, damage: str):
    async with SqliteStore(path) as store:
        for number in range(200):
            await store.create(f"/r/{number}", slot("precious", 1000))
    content = bytearray(path.read_bytes())
    if damage == "page":
        content[20_480:28_672] = bytes(8192)
    else:
        content[content.rindex(b"precious")] ^= 1
    path.write_bytes(content)
    with pytest.raises(CannotOpen, match="corrupt"):
        await SqliteStore(path).start()


async def test_the_file_is_for_its_owner_only(path: Path):
    async with SqliteStore(path) as store:
        await store.create("/a", slot("secret"))
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file


# A failing disk


class Gate(StoreFile):
    """Appends wait for the gate to open, and fail if told so."""

    opened = threading.Event()
    error: Exception | None = None
    batches: list[int] = []

    def append(self, events):
        assert Gate.opened.wait(10)
        Gate.batches.append(len(events))
        if Gate.error is not None:
            raise Gate.error
        super().append(events)


@pytest.fixture
def gate():
    Gate.opened.clear()
    Gate.error = None
    Gate.batches = []
    yield Gate
    Gate.opened.set()


async def test_a_failed_commit_fails_what_was_compared_against_it(path: Path, gate: type[Gate]):
    async with SqliteStore(path, open_file=gate.open) as store:
        gate.opened.set()
        base = await store.create("/a", slot("0"))
        subscription = store.watch("", base.revision)
        gate.opened.clear()
        gate.error = sqlite3.OperationalError("database or disk is full")
        writes = [
            asyncio.ensure_future(write)
            for write in (
                store.update("/a", slot("1"), base.revision),
                store.update("/a", slot("2"), base.revision),  # a conflict, if 1 becomes durable
                store.create("/b", slot("1")),
                store.create("/b", slot("2")),
                store.delete("/a"),
                store.update("/a", slot("3")),
            )
        ]
        await asyncio.sleep(0)
        assert (store.get("/a"), store.get("/b"), store.revision) == (base, None, base.revision)
        gate.opened.set()
        for result in await asyncio.gather(*writes, return_exceptions=True):
            assert isinstance(result, StoreUnavailable)
            assert "disk is full" in str(result)
        assert (store.get("/a"), store.count("")) == (base, 1)
        assert store.list("").revision == base.revision

        gate.error = None
        after = await store.update("/a", slot("4"), base.revision)
        assert [event.revision for event in await subscription.next()] == [after.revision]
    async with SqliteStore(path) as store:
        assert store.list("").items == [after]


async def test_a_really_full_database_recovers(path: Path):
    class Small(StoreFile):
        pages = 60

        def append(self, events):
            self._connection.execute(f"PRAGMA max_page_count = {Small.pages}").fetchall()
            super().append(events)

    async with SqliteStore(path, open_file=Small.open) as store:
        made: list[KeyValue] = []
        with pytest.raises(StoreUnavailable, match="database or disk is full"):
            for number in range(100):
                made.append(await store.create(f"/{number:03}", slot("x", 4000)))
        assert 10 < len(made) < 60
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="database or disk is full"):
                await store.create("/more", slot("x", 4000))
        assert store.list("").items == made
        Small.pages = 1000
        made.append(await store.create("/more", slot("x", 4000)))
        assert store.list("").items == made
    async with SqliteStore(path) as store:
        assert store.list("").items == made


async def test_a_file_size_limit_fails_writes_until_it_is_lifted(path: Path):
    """A true error of write(2), in the middle of a transaction."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with SqliteStore(path) as store:
        made = [await store.create("/0", slot("x", 1000))]
        log = path.with_name("store.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (log + 10_000, hard))
        try:
            results = await asyncio.gather(
                *(store.create(f"/1{n:03}", slot("x", 4000)) for n in range(100)),
                return_exceptions=True,
            )
            made += [result for result in results if isinstance(result, KeyValue)]
            failed = [result for result in results if not isinstance(result, KeyValue)]
            assert failed
            assert all(isinstance(result, StoreUnavailable) for result in failed)
            assert store.list("").items == made
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        made.append(await store.create("/2", slot("x", 4000)))
        assert store.list("").items == made
    async with SqliteStore(path) as store:
        assert store.list("").items == made


async def test_a_failed_compaction_is_finished_by_the_next(path: Path):
    class Stubborn(StoreFile):
        fails = True

        def delete(self, revisions):
            if Stubborn.fails:
                raise sqlite3.OperationalError("disk I/O error")
            super().delete(revisions)

    async with SqliteStore(path, open_file=Stubborn.open) as store:
        await store.create("/a", slot("x"))
        kept = await store.update("/a", slot("y"))
        with pytest.raises(StoreUnavailable, match="I/O error"):
            await store.compact(store.revision)
        Stubborn.fails = False
        await store.compact(store.revision)
    assert [row[0] for row in read(path, "SELECT revision FROM log")] == [kept.revision]


# The thread


async def test_writes_that_wait_share_a_commit(path: Path, gate: type[Gate]):
    async with SqliteStore(path, open_file=gate.open) as store:
        writes = [asyncio.ensure_future(store.create(f"/{n}", slot("x"))) for n in range(200)]
        await asyncio.sleep(0)
        gate.opened.set()
        items = await asyncio.gather(*writes)
        assert [item.revision for item in items] == list(range(2, 202))
        assert sum(gate.batches) == 200
        assert len(gate.batches) <= 2
    async with SqliteStore(path) as store:
        assert store.count("") == 200


async def test_writes_go_on_during_compaction(path: Path):
    async with SqliteStore(path) as store:
        await store.create("/a", slot("x"))
        await asyncio.gather(*(store.update("/a", slot("x")) for _ in range(5000)))
        compaction = asyncio.ensure_future(store.compact(store.revision))
        made = [await store.create(f"/b/{n}", slot("x")) for n in range(20)]
        await compaction
        assert store.list("/b/").items == sorted(made, key=lambda item: item.key)


async def test_a_busy_loop_does_not_starve_the_thread(path: Path):
    """Without making way for it, single writes took seconds here."""

    async def spin() -> None:
        while True:
            end = time.perf_counter() + 0.0001
            while time.perf_counter() < end:
                pass
            await asyncio.sleep(0)

    async with SqliteStore(path) as store:
        busy = asyncio.ensure_future(spin())
        slowest = 0.0
        for number in range(100):
            started = time.perf_counter()
            await store.create(f"/{number}", slot("x", 1000))
            slowest = max(slowest, time.perf_counter() - started)
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    assert slowest < 0.5


async def test_closing_leaves_no_thread_and_no_open_file(path: Path):
    threads = threading.active_count()
    files = len(os.listdir("/proc/self/fd"))
    async with SqliteStore(path) as store:
        await store.create("/a", slot("x"))
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


async def test_a_cancelled_start_lets_go_of_the_file(path: Path):
    store = SqliteStore(path)
    starting = asyncio.ensure_future(store.start())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await store.close()
    async with SqliteStore(path) as second:
        await second.create("/a", slot("x"))


async def open_elsewhere(path: Path) -> str:
    """What another process that opens the store says on its standard error."""
    code = (
        "import asyncio, sys; from trireme.store.sqlite import SqliteStore\n"
        "asyncio.run(SqliteStore(sys.argv[1]).start())"
    )
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return process.stderr


def read(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on the closed file."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def test_a_file_that_somebody_emptied_is_no_new_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path) as store:
        await store.create("/a", Value(b"1", b""))
    path.write_bytes(b"")
    with pytest.raises(CannotOpen, match="is empty, and no store ever is"):
        await SqliteStore(path).start()
    assert path.read_bytes() == b""
    path.unlink()
    async with SqliteStore(path) as store:
        assert store.count("/") == 0


async def test_a_new_file_is_for_its_owner_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["store.db"]
