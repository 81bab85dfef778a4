"""``kill -9`` in the middle of a stream of writes, a hundred times over.

Each round forks a child that opens the file and writes, updates, deletes and compacts as fast as it
can, telling each acknowledged write through a pipe. It dies at an instant drawn from the seed; then
the file must hold every acknowledged write, and watches must resume or fail with Compacted.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import time
from pathlib import Path

from trireme.store.contract import Compacted, Conflict, Event, KeyExists, KeyMissing, Value
from trireme.store.sqlite import SqliteStore

ROUNDS = 100
SEED = 20_300_101
WRITERS = 8

Ack = tuple[int, str, str, str]  # revision, type, key, the value's first word


def test_kill_nine_loses_no_acknowledged_write(tmp_path: Path):
    path = tmp_path / "store.db"
    chance = random.Random(SEED)
    acks: dict[int, Ack] = {}
    newest = 1
    checked = compactions = resumed = 0
    for number in range(ROUNDS):
        got = _run_child(path, number, chance)
        revisions = [ack[0] for ack in got]
        assert all(revision > newest for revision in revisions), "a revision was given twice"
        acks.update((ack[0], ack) for ack in got)
        held = asyncio.run(_reopen(path, acks, newest, chance))
        assert held.revision >= max(revisions, default=newest)
        newest = held.revision
        checked += len(got)
        compactions += held.compacted > 0
        resumed += held.resumed
    assert checked > 20 * ROUNDS
    # How many is chance, as each child dies at another line each time; none would show nothing.
    assert compactions > ROUNDS // 10
    assert resumed > ROUNDS // 10


# The child


def _run_child(path: Path, number: int, chance: random.Random) -> list[Ack]:
    """Fork, let it write until its instant has come, kill it; what it had acknowledged."""
    enough = chance.choice([0, 1, chance.randrange(20), chance.randrange(200)])
    grace = chance.random() * 0.003
    seed = chance.random()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            asyncio.run(_write_for_ever(path, number, random.Random(seed), writer))
        finally:
            os._exit(1)  # reached only by an error: the parent kills us otherwise
    os.close(writer)
    received = b""
    try:
        while received.count(b"\n") < enough:
            chunk = os.read(reader, 65536)
            assert chunk, "the child died by itself"
            received += chunk
        _spend(grace)
        os.kill(child, signal.SIGKILL)
        while chunk := os.read(reader, 65536):
            received += chunk
    finally:
        os.close(reader)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child died by itself"
    lines = received.split(b"\n")[:-1]  # a torn last line was never acknowledged
    got = [line.decode().split(" ") for line in lines]
    return [(int(revision), kind, key, word) for revision, kind, key, word in got]


def _spend(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        select.select([], [], [], left)


async def _write_for_ever(path: Path, number: int, chance: random.Random, out: int) -> None:
    async with SqliteStore(path) as store:

        async def write(writer: int) -> None:
            count = 0
            while True:
                count += 1
                key = f"/r/{chance.choice('ab')}/{chance.randrange(30)}"
                word = f"{number}.{writer}.{count}"
                value = Value(word.encode() + b" ", b" " + b"x" * chance.choice([0, 900, 9000]))
                current = store.get(key)
                try:
                    if current is None:
                        kind, item = "created", await store.create(key, value)
                    elif chance.random() < 0.7:
                        kind, item = "modified", await store.update(key, value, current.revision)
                    else:
                        kind, item = "deleted", await store.delete(key, current.revision, value)
                except (KeyExists, KeyMissing, Conflict):
                    continue
                os.write(out, f"{item.revision} {kind} {key} {word}\n".encode())
                if chance.random() < 0.02:
                    await store.compact(max(1, store.revision - 20 - chance.randrange(300)))

        async with asyncio.TaskGroup() as group:
            for writer in range(WRITERS):
                group.create_task(write(writer))


# The parent


class Held:
    """What a reopened file held."""

    def __init__(self, revision: int, compacted: int, resumed: bool) -> None:
        self.revision, self.compacted, self.resumed = revision, compacted, resumed


async def _reopen(path: Path, acks: dict[int, Ack], newest: int, chance: random.Random) -> Held:
    async with SqliteStore(path) as store:
        since = store.compacted
        events = await _events(store, since)
        assert [e.revision for e in events] == sorted({e.revision for e in events})
        for event in events:
            ack = (event.revision, event.type, event.key, _word(event.value))
            assert acks.setdefault(event.revision, ack) == ack
        expected = {revision for revision in acks if since < revision}
        assert expected == {event.revision for event in events}, "acknowledged and not there"

        _check_present(store, acks)
        # What was held when the last child began must be as it was, if it is still known.
        start = chance.choice([newest, chance.randrange(newest) + 1])
        try:
            resumed = await _events(store, start)
        except Compacted:
            assert start < store.compacted
            return Held(store.revision, store.compacted, False)
        assert [e.revision for e in resumed] == sorted(r for r in acks if r > start)
        return Held(store.revision, store.compacted, True)


async def _events(store: SqliteStore, since: int) -> list[Event]:
    subscription = store.watch("/r/", since)
    return await subscription.next() if subscription.revision < store.revision else []


def _check_present(store: SqliteStore, acks: dict[int, Ack]) -> None:
    """The live items are what all writes, acknowledged or found, add up to."""
    state: dict[str, tuple[int, str]] = {}
    for revision in sorted(acks):
        _, kind, key, word = acks[revision]
        if kind == "deleted":
            state.pop(key, None)
        else:
            state[key] = (revision, word)
    held = {item.key: (item.revision, _word(item.value)) for item in store.list("").items}
    assert held == state


def _word(value: bytes) -> str:
    word, revision, _ = value.split(b" ", 2)
    assert revision.isdigit()
    return word.decode()
