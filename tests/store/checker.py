"""A history of operations on a store, and whether any sequence of them one by one explains it.

In: what clients asked and were answered, each with the moments before and after; what watchers got.
Out: assertions. The store numbers its writes, so the sequence is known: the events. What has to
hold: an operation takes its place in the sequence between its two moments; a compared write follows
directly the write that it names; a watcher gets every event of its prefix, once, in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from trireme.store.contract import Event


@dataclass
class Operation:
    """``revision``: of the write, or of what was read (0: nothing was there). ``uncertain``: it may
    have been carried out or not."""

    key: str
    kind: str
    expect: int | None
    begin: int
    end: int = 0
    revision: int = 0
    uncertain: bool = True


@dataclass
class History:
    operations: list[Operation] = field(default_factory=list)
    _moments: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def operation(self, kind: str, key: str, expect: int | None = None) -> Iterator[Operation]:
        """One that has not ended is uncertain."""
        made = Operation(key, kind, expect, next(self._moments))
        self.operations.append(made)
        yield made
        made.end = next(self._moments)
        made.uncertain = False

    def check(self, events: list[Event]) -> None:
        """``events``: all of the store, from its beginning."""
        assert [e.revision for e in events] == sorted({e.revision for e in events}), "out of order"
        by_key: dict[str, list[Event]] = {}
        for event in events:
            before = by_key.setdefault(event.key, [])
            live = bool(before) and before[-1].type != "deleted"
            assert live == (event.type != "created"), (before[-1:], event)
            if live:
                assert event.previous_revision == before[-1].revision, "an event is missing"
            before.append(event)
        known = {event.revision: event for event in events}
        for done in self.operations:
            if done.uncertain or done.kind == "read" or not done.revision:
                continue
            event = known[done.revision]
            assert event.key == done.key, "an acknowledged write is lost"
            if done.expect is not None:
                assert event.previous_revision == (done.expect or None), (done, event)
        for key in {done.key for done in self.operations}:
            mine = [done for done in self.operations if done.key == key and not done.uncertain]
            _check_key(mine, by_key.get(key, []))


def _check_key(operations: list[Operation], events: list[Event]) -> None:
    """Real time: whatever began after another had ended comes after it in the sequence."""
    gone = {event.revision for event in events if event.type == "deleted"}
    latest = 0  # the newest revision that some ended operation has shown
    ended = sorted((done for done in operations if done.revision), key=lambda done: done.end)
    shown = iter(ended)
    pending = next(shown, None)
    for done in sorted(operations, key=lambda done: done.begin):
        while pending is not None and pending.end < done.begin:
            latest = max(latest, pending.revision)
            pending = next(shown, None)
        if done.kind != "read":
            assert done.revision == 0 or done.revision > latest, (done, latest)
        elif done.revision:
            assert done.revision >= latest, ("an old read", done, latest)
            assert any(event.revision == done.revision for event in events), done
        elif latest:
            later = [event for event in events if event.revision >= latest]
            assert any(event.revision in gone for event in later), ("nothing is read", done)


def check_watch(seen: list[Event], events: Iterable[Event], prefix: str, since: int) -> None:
    """What a watcher got from a revision on, up to the last that it got."""
    last = seen[-1].revision if seen else since
    expected = [
        (event.revision, event.type, event.key)
        for event in events
        if event.key.startswith(prefix) and since < event.revision <= last
    ]
    assert [(event.revision, event.type, event.key) for event in seen] == expected
