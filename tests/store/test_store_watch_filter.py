"""Watchers with a filter: they get every event that matches, and cost other events nothing."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from trireme.store.contract import Event, KeyValue, Store, SubscriptionClosed, Value, WatchFilter


def words(event: Event) -> Collection[str]:
    """The first word before the event and after it."""
    found = [event.previous] if event.previous else []
    if event.type != "deleted":
        found.append(event.value)
    return {value.split(b" ")[0].decode() for value in found}


def word(text: str) -> Value:
    return Value(f"{text} ".encode(), b"")


def matching(*values: str) -> WatchFilter:
    return WatchFilter("word", values, words)


async def test_events_that_do_not_match_are_left_out(store: Store) -> None:
    start = store.revision
    red = store.watch("/r/", start, filter=matching("red"))
    both = store.watch("/r/", start, filter=matching("red", "blue"))
    everything = store.watch("/r/", start)
    made = [
        await store.create("/r/a", word("red")),
        await store.create("/r/b", word("green")),
        await store.update("/r/a", word("blue")),
        await store.update("/r/a", word("green")),
        await store.delete("/r/b"),
    ]
    assert _revisions(red.take()) == _of(made, 0, 2)
    # One that finds two of its values in an event gets it once.
    assert _revisions(both.take()) == _of(made, 0, 2, 3)
    assert _revisions(everything.take()) == _of(made, 0, 1, 2, 3, 4)


async def test_progress_is_that_of_the_store(store: Store) -> None:
    red = store.watch("/r/", store.revision, filter=matching("red"))
    for number in range(5):
        await store.create(f"/r/{number}", word("green"))
    assert red.revision == store.revision
    made = await store.create("/r/x", word("red"))
    await store.create("/r/y", word("green"))
    assert red.revision == made.revision - 1
    assert _revisions(red.take()) == [made.revision]
    assert red.revision == store.revision


async def test_the_backlog_may_hold_more(store: Store) -> None:
    start = store.revision
    made = await store.create("/r/a", word("red"))
    await store.create("/r/b", word("green"))
    red = store.watch("/r/", start, filter=matching("red"))
    assert made.revision in _revisions(red.take())


async def test_only_its_own_events_fill_a_buffer(store: Store) -> None:
    red = store.watch("/r/", store.revision, buffer=2, filter=matching("red"))
    for number in range(10):
        await store.create(f"/r/{number}", word("green"))
    assert red.take() == []
    for number in range(3):
        await store.create(f"/r/red-{number}", word("red"))
    with pytest.raises(SubscriptionClosed, match="slow"):
        red.take()
    # The others of its index go on.
    other = store.watch("/r/", store.revision, filter=matching("red"))
    made = await store.create("/r/late", word("red"))
    assert _revisions(other.take()) == [made.revision]


async def test_an_event_is_read_once_for_each_index(store: Store) -> None:
    reads = []

    def counted(event: Event) -> Collection[str]:
        reads.append(event.revision)
        return words(event)

    watching = [
        store.watch("/r/", store.revision, filter=WatchFilter("word", (f"w-{n}",), counted))
        for n in range(1_000)
    ]
    await store.create("/r/a", word("w-7"))
    assert len(reads) == 1
    assert [n for n, one in enumerate(watching) if one.take()] == [7]
    for one in watching:
        one.close()
    await store.create("/r/b", word("w-7"))
    assert len(reads) == 1


async def test_an_event_that_cannot_be_read_matches_all(store: Store) -> None:
    red = store.watch("/r/", store.revision, filter=WatchFilter("word", ("red",), lambda _: None))
    made = await store.create("/r/a", word("green"))
    assert _revisions(red.take()) == [made.revision]


async def test_closing_the_store_ends_them(store: Store) -> None:
    red = store.watch("/r/", store.revision, filter=matching("red", "blue"))
    await store.close()
    with pytest.raises(SubscriptionClosed, match="store closed"):
        await red.next()


def _revisions(events: list[Event]) -> list[int]:
    return [event.revision for event in events]


def _of(made: list[KeyValue], *which: int) -> list[int]:
    return [made[n].revision for n in which]
