"""Random histories against a naive model: the whole state at every revision, as dictionaries."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
)

from trireme.store.contract import (
    Compacted,
    Conflict,
    Event,
    FutureRevision,
    KeyExists,
    KeyMissing,
    KeyValue,
    StoreUnavailable,
    Subscription,
    Value,
)
from trireme.store.engine import Engine
from trireme.store.memory import MemoryStore
from trireme.store.sqlite import SqliteStore
from trireme.store.sqlite.file import StoreFile

KEYS = st.sampled_from(
    [
        f"/r/{kind}/{namespace}/{name}"
        for kind in ("pods", "pod", "nodes")
        for namespace in ("a", "ab")
        for name in ("x", "x1", "y")
    ]
    + ["/short", "bare"]
)
PREFIXES = st.sampled_from(
    ["", "/r/", "/r/pods/", "/r/pod", "/r/pods/a", "/r/pods/a/", "/r/pods/a/x", "/r/nodes/", "b"]
)
TEXTS = st.binary(max_size=6)
WRITES = st.tuples(
    st.sampled_from(["create", "update", "delete"]),
    KEYS,
    TEXTS,
    st.sampled_from(["none", "current", "stale"]),
    st.booleans(),
)

State = dict[str, KeyValue]


class Failing(StoreFile):
    """A file whose commits fail when told so: before, or after the rows are on the disk."""

    when: str | None = None

    def append(self, events):
        if Failing.when != "before":
            super().append(events)
        if Failing.when:
            raise OSError("injected")


class Histories(RuleBasedStateMachine):
    """Subclasses say how an engine is made, and whether it outlives a restart."""

    durable = False
    watches = Bundle("watches")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.states: dict[int, State] = {1: {}}
        self.events: list[Event] = []
        self.compacted = 0
        self.store = self.make()
        self.run(self.store.start())

    def make(self) -> Engine:
        raise NotImplementedError

    def run(self, work):
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()

    @property
    def state(self) -> State:
        return self.states[self.store.revision]

    @rule(writes=st.lists(WRITES, min_size=1, max_size=6))
    def write_at_once(self, writes) -> None:
        async def submit() -> list[KeyValue | BaseException]:
            return await asyncio.gather(
                *(self._submit(state_before, *write) for write in writes), return_exceptions=True
            )

        state_before = dict(self.states[max(self.states)])
        for write, result in zip(writes, self.run(submit()), strict=True):
            self._compare_result(state_before, write, result)

    async def _submit(self, before: State, verb, key, text, compare, final) -> KeyValue:
        value = Value(text + b"@", b".")
        expect = _expect(before.get(key), compare)
        if verb == "create":
            return await self.store.create(key, value)
        if verb == "update":
            return await self.store.update(key, value, expect)
        return await self.store.delete(key, expect, value if final else None)

    def _compare_result(self, before: State, write, result) -> None:
        """What the model makes of one write, given all writes before it."""
        verb, key, text, compare, final = write
        state = dict(self.states[max(self.states)])
        current = state.get(key)
        expect = _expect(before.get(key), compare)
        if verb == "create" and current is not None:
            assert isinstance(result, KeyExists)
            assert result.current == current
            return
        if verb != "create" and current is None:
            assert isinstance(result, KeyMissing)
            return
        if verb != "create" and expect is not None and expect != current.revision:
            assert isinstance(result, Conflict)
            assert result.current == current
            return
        assert isinstance(result, KeyValue), result
        revision = result.revision
        assert revision > max(self.states)
        kept = verb == "delete" and not final
        value = current.value if kept else b"%b@%d." % (text, revision)
        created = revision if verb == "create" else current.created
        assert result == KeyValue(key, value, revision, created)
        kind: Any = {"create": "created", "update": "modified", "delete": "deleted"}[verb]
        past = (None, None) if verb == "create" else (current.value, current.revision)
        self.events.append(Event(kind, key, value, past[0], revision, created, past[1]))
        if verb == "delete":
            del state[key]
        else:
            state[key] = result
        self.states[revision] = state

    @rule(prefix=PREFIXES, limit=st.integers(0, 4), after=st.none() | KEYS, back=st.integers(0, 9))
    def list_at_a_revision(self, prefix, limit, after, back) -> None:
        revisions = sorted(self.states)
        revision = revisions[max(0, len(revisions) - 1 - back)]
        if revision < self.compacted:
            with pytest.raises(Compacted):
                self.store.list(prefix, revision=revision)
            return
        expected = [
            item
            for key, item in sorted(self.states[revision].items())
            if key.startswith(prefix) and (after is None or key > after)
        ]
        stop = limit or len(expected)
        remaining = max(0, len(expected) - stop)
        page = self.store.list(prefix, after=after, limit=limit, revision=revision)
        assert page == (expected[:stop], revision, remaining > 0, remaining)

    @rule(target=watches, prefix=PREFIXES, since=st.integers(-1, 12))
    def watch(self, prefix, since):
        since = self.store.revision - since
        if since > self.store.revision:
            with pytest.raises(FutureRevision):
                self.store.watch(prefix, since)
            return multiple()
        if since < self.compacted:
            with pytest.raises(Compacted):
                self.store.watch(prefix, since)
            return multiple()
        return [prefix, since, self.store.watch(prefix, since), self.store]

    @rule(watch=watches)
    def read(self, watch) -> None:
        prefix, since, subscription, store = watch
        if store is not self.store:
            subscription = self._resume(watch)
            since = watch[1]
        expected = self._events(prefix, since)
        if expected:
            assert subscription.revision == expected[0].revision - 1
            assert self.run(subscription.next()) == expected
        assert subscription.revision == self.store.revision
        watch[1] = self.store.revision

    def _resume(self, watch) -> Subscription:
        """What a watcher does after a restart: go on where it was, or start over."""
        prefix, since, _, _ = watch
        if since < self.compacted:
            with pytest.raises(Compacted):
                self.store.watch(prefix, since)
            since = self.compacted
        watch[1:] = [since, self.store.watch(prefix, since), self.store]
        return watch[2]

    def _events(self, prefix: str, since: int) -> list[Event]:
        return [e for e in self.events if e.revision > since and e.key.startswith(prefix)]

    @rule(back=st.integers(0, 6))
    def compact(self, back) -> None:
        revision = max(1, self.store.revision - back)
        self.run(self.store.compact(revision))
        self.compacted = max(self.compacted, revision)

    @precondition(lambda self: self.durable)
    @rule(
        writes=st.lists(WRITES, min_size=1, max_size=4), when=st.sampled_from(["before", "after"])
    )
    def write_to_a_failing_disk(self, writes, when) -> None:
        async def submit() -> list[KeyValue | BaseException]:
            before = self.state
            return await asyncio.gather(
                *(self._submit(before, *write) for write in writes), return_exceptions=True
            )

        Failing.when = when
        try:
            results = self.run(submit())
        finally:
            Failing.when = None
        refused = (StoreUnavailable, KeyExists, KeyMissing, Conflict)
        assert all(isinstance(result, refused) for result in results), results

    @precondition(lambda self: self.durable)
    @rule()
    def restart(self) -> None:
        self.run(self.store.close())
        self.store = self.make()
        self.run(self.store.start())

    @invariant()
    def present(self) -> None:
        newest = max(self.states)
        assert self.store.revision == max(newest, 1)
        assert self.store.compacted == self.compacted
        assert self.store.list("").items == [item for _, item in sorted(self.state.items())]
        for item in self.state.values():
            assert self.store.get(item.key) == item
        for prefix in ("/r/pods/", "/r/pod"):
            assert self.store.count(prefix) == sum(k.startswith(prefix) for k in self.state)


def _expect(before: KeyValue | None, compare: str) -> int | None:
    if compare == "none":
        return None
    revision = 1 if before is None else before.revision
    return revision if compare == "current" else revision - 1


class MemoryHistories(Histories):
    def make(self) -> Engine:
        return MemoryStore()


class SqliteHistories(Histories):
    durable = True

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        super().__init__()

    def make(self) -> Engine:
        return SqliteStore(Path(self.folder.name, "store.db"), open_file=Failing.open)

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestMemoryHistories = MemoryHistories.TestCase
TestMemoryHistories.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSqliteHistories = SqliteHistories.TestCase
TestSqliteHistories.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
