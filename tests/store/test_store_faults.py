"""Faults under writes, reads and watches: every answer fits one sequence (``checker``).

SQLite with a disk that fails, and etcd with members that die, hang and come back, whose history is
compacted, or whose certificates are replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.etcd import Etcd
from tests.store.workload import Workload

from trireme.store.contract import CannotOpen, Event, StoreUnavailable, Value
from trireme.store.etcd import EtcdStore
from trireme.store.memory import MemoryStore
from trireme.store.sqlite import SqliteStore
from trireme.store.sqlite.file import StoreFile


@asynccontextmanager
async def servers(etcd: Etcd, count: int = 2) -> AsyncIterator[list[EtcdStore]]:
    """Stores as two API servers have them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(EtcdStore(etcd.config)) for _ in range(count)]


async def test_the_checker_finds_a_lost_write_and_an_old_read():
    async with MemoryStore() as store:
        work = Workload([store], seed=1)
        first = await store.create("/r/pods/a", Value(b"1", b""))
        second = await store.update("/r/pods/a", Value(b"2", b""))
        events = await store.watch("/r/", 1).next()
        with work.history.operation("update", "/r/pods/a", first.revision) as write:
            write.revision = second.revision
        work.history.check(events)
        with work.history.operation("read", "/r/pods/a") as read:
            read.revision = first.revision
        with pytest.raises(AssertionError, match="an old read"):
            work.history.check(events)
        read.revision = 0
        with pytest.raises(AssertionError, match="nothing is read"):
            work.history.check(events)
        read.revision = second.revision
        with pytest.raises((AssertionError, KeyError)):
            work.history.check(events[:1])


class FailingFile(StoreFile):
    """A file whose commits fail now and then: before, or after the rows are on the disk."""

    commits = 0

    def append(self, events: list[Event]) -> None:  # type: ignore[override]
        FailingFile.commits += 1
        if FailingFile.commits % 7 == 3:
            raise OSError("injected")
        super().append(events)
        if FailingFile.commits % 11 == 5:
            raise OSError("injected")


@pytest.mark.parametrize("seed", range(3))
async def test_sqlite_on_a_disk_that_fails(tmp_path: Path, seed: int):
    async with SqliteStore(tmp_path / "store.db", open_file=FailingFile.open) as store:
        work = Workload([store], seed, writers=6)
        async with work.running():
            await work.progress(300)
    assert work.refused


@pytest.mark.interop
async def test_a_member_of_etcd_is_lost_and_comes_back():
    with Etcd(3) as etcd:
        async with servers(etcd) as stores:
            work = Workload(stores, seed=4)
            async with work.running():
                for member in (0, 1, 2):
                    await work.progress()
                    etcd.kill(member)
                    await work.progress()
                    etcd.start(member)


@pytest.mark.interop
async def test_two_of_three_are_lost():
    """Writes and linearizable reads are refused; what the cache has is still read."""
    with Etcd(3) as etcd:
        async with servers(etcd) as stores:
            work = Workload(stores, seed=5)
            async with work.running():
                await work.progress()
                etcd.kill(0)
                etcd.kill(1)
                await work.refusals(2, 40)
                for store in stores:
                    assert store.failure
                    with pytest.raises(StoreUnavailable):
                        await store.barrier()
                    store.list("/r/pods/")
                etcd.start(0)
                etcd.start(1)
                await work.progress(seconds=40)
                assert not stores[0].failure


@pytest.mark.interop
async def test_a_member_hangs():
    with Etcd(3) as etcd:
        async with servers(etcd) as stores:
            work = Workload(stores, seed=6)
            async with work.running():
                for member in (0, 1, 2):
                    await work.progress()
                    etcd.pause(member)
                    await work.progress(seconds=60)
                    etcd.resume(member)


@pytest.mark.interop
async def test_compaction_under_watches():
    with Etcd() as etcd:
        async with servers(etcd) as stores:
            work = Workload(stores, seed=7)
            async with work.running():
                before = 1
                for _ in range(4):
                    now = min([await store.barrier() for store in stores])
                    await work.progress()
                    for store in stores:
                        await store.compact(before)
                    before = now
            assert stores[0].compacted > 1


@pytest.mark.interop
async def test_a_server_that_was_cut_off_beyond_the_compaction_reads_all_again():
    """Its watchers end, and nothing in between is made up."""
    with Etcd() as etcd:
        async with servers(etcd) as (cut, other):
            made = await other.create("/r/pods/a", Value(b"1@", b""))
            await cut.barrier()
            subscription = cut.watch("/r/", made.revision)
            assert cut._follower is not None
            cut._follower.cancel()
            await asyncio.wait({cut._follower})
            await other.delete("/r/pods/a")
            for number in range(20):
                await other.create(f"/r/pods/{number}", Value(b"x@", b""))
            await other.compact(other.revision)
            cut._follower = asyncio.create_task(cut._follow())
            await cut.barrier()
            assert cut.list("/r/").items == other.list("/r/").items
            with pytest.raises(Exception, match="compacted"):
                await asyncio.wait_for(subscription.next(), 10)


@pytest.mark.interop
async def test_a_server_starts_where_the_history_begins():
    """A client that comes from another server goes on from its own revision."""
    with Etcd() as etcd:
        async with servers(etcd, 1) as (store,):
            for number in range(10):
                await store.create(f"/r/pods/{number}", Value(b"x@", b""))
            await store.compact(4)
            await store.delete("/r/pods/0")
        async with servers(etcd, 1) as (store,):
            assert store.compacted == 4
            events = store.watch("/r/", 4).take()
            assert [event.revision for event in events][:7] == [5, 6, 7, 8, 9, 10, 11]
            assert events[-1].type == "deleted"
            assert len(store.list("/r/", revision=6).items) == 5


@pytest.mark.interop
async def test_certificates_are_replaced_while_it_runs():
    with Etcd(3, tls=True) as etcd:
        async with servers(etcd) as stores:
            work = Workload(stores, seed=8)
            async with work.running():
                await work.progress()
                etcd.rotate()
                for member in (0, 1, 2):
                    etcd.kill(member)
                for member in (0, 1, 2):
                    etcd.start(member)
                await work.progress(seconds=40)


@pytest.mark.interop
async def test_a_full_etcd_refuses_writes_and_says_so():
    with Etcd(flags=("--quota-backend-bytes=4194304",)) as etcd:
        async with servers(etcd, 1) as (store,):
            with pytest.raises(StoreUnavailable, match="database space exceeded"):
                for number in range(20):
                    await store.create(f"/r/{number}", Value(b"x" * 1_000_000, b""))
            assert "database space exceeded" in store.failure
            await store.barrier()
            assert store.list("/r/").items


@pytest.mark.interop
async def test_without_etcd_it_does_not_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trireme.store.etcd.store._OPEN", 0.5)
    with Etcd() as etcd:
        etcd.kill(0)
        with pytest.raises(CannotOpen, match="cannot be reached"):
            async with EtcdStore(etcd.config):
                pass


@pytest.mark.interop
async def test_a_client_without_a_certificate_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trireme.store.etcd.store._OPEN", 2)
    with Etcd(tls=True) as etcd:
        config = type(etcd.config)(etcd.urls, lambda: None)
        with pytest.raises(CannotOpen):
            async with EtcdStore(config):
                pass


@pytest.mark.interop
async def test_items_with_a_time_to_live_go_by_themselves():
    with Etcd() as etcd:
        async with servers(etcd) as (store, other):
            await store.create("/r/events/a", Value(b"x@", b""), ttl=1)
            await store.create("/r/events/b", Value(b"x@", b""), ttl=3600)
            await store.create("/r/events/c", Value(b"x@", b""))
            await other.barrier()
            subscription = other.watch("/r/", other.revision)
            (event,) = await asyncio.wait_for(subscription.next(), 20)
            assert (event.type, event.key) == ("deleted", "/r/events/a")
            assert {item.key for item in other.list("/r/").items} == {"/r/events/b", "/r/events/c"}
