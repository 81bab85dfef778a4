"""What every engine must do, whichever it is: the contract, clause by clause."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from trireme.kit.clock import VirtualLoop
from trireme.store import contract
from trireme.store.contract import (
    Compacted,
    Conflict,
    Event,
    FutureRevision,
    KeyExists,
    KeyMissing,
    KeyValue,
    Store,
    StoreUnavailable,
    Subscription,
    SubscriptionClosed,
    Value,
)
from trireme.store.memory import MemoryStore


def slot(text: str) -> Value:
    """A value that reads "<text>@<revision>."."""
    return Value(f"{text}@".encode(), b".")


async def take(subscription: Subscription, count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        events += await asyncio.wait_for(subscription.next(), 10)
    assert len(events) == count
    return events


# Writing


async def test_empty_store_is_at_revision_one(store: Store):
    assert (store.revision, store.compacted) == (1, 0)
    assert store.get("/a") is None
    assert store.list("") == ([], 1, False, 0)
    assert store.count("") == 0
    assert await store.barrier() == 1


async def test_create_renders_the_revision_once(store: Store):
    made = await store.create("/r/pods/a", slot("x"))
    assert made == KeyValue("/r/pods/a", b"x@2.", 2, 2)
    assert store.revision == 2
    assert store.get("/r/pods/a") is made
    assert store.list("/r/")[0] == [made]
    (event,) = await take(store.watch("/r/", 1), 1)
    assert event.value is made.value


async def test_create_of_an_existing_key(store: Store):
    made = await store.create("/a", slot("x"))
    with pytest.raises(KeyExists) as refusal:
        await store.create("/a", slot("y"))
    assert (refusal.value.key, refusal.value.current) == ("/a", made)
    assert store.revision == made.revision


async def test_update(store: Store):
    made = await store.create("/a", slot("x"))
    updated = await store.update("/a", slot("y"), made.revision)
    assert updated.value == f"y@{updated.revision}.".encode()
    assert updated.revision > made.revision
    assert updated.created == made.created
    assert (await store.update("/a", slot("z"))).created == made.created


async def test_update_of_an_older_revision(store: Store):
    made = await store.create("/a", slot("x"))
    updated = await store.update("/a", slot("y"), made.revision)
    with pytest.raises(Conflict) as refusal:
        await store.update("/a", slot("z"), made.revision)
    assert refusal.value.current == updated
    assert store.get("/a") == updated


async def test_update_and_delete_of_a_missing_key(store: Store):
    with pytest.raises(KeyMissing) as refusal:
        await store.update("/a", slot("x"), 7)
    assert refusal.value.key == "/a"
    with pytest.raises(KeyMissing):
        await store.delete("/a")


async def test_delete_with_a_final_value(store: Store):
    made = await store.create("/a", slot("x"))
    with pytest.raises(Conflict):
        await store.delete("/a", made.revision + 1)
    gone = await store.delete("/a", made.revision, slot("bye"))
    assert gone.value == f"bye@{gone.revision}.".encode()
    assert gone.created == made.created
    assert store.get("/a") is None
    assert (store.count(""), store.revision) == (0, gone.revision)


async def test_delete_without_a_final_value_keeps_the_last(store: Store):
    made = await store.create("/a", slot("x"))
    gone = await store.delete("/a")
    assert gone == KeyValue("/a", made.value, gone.revision, made.created)
    (event,) = await take(store.watch("", made.revision), 1)
    assert event.value is event.previous is made.value


async def test_created_again_is_a_new_creation(store: Store):
    await store.create("/a", slot("x"))
    gone = await store.delete("/a")
    again = await store.create("/a", slot("y"))
    assert again.created == again.revision > gone.revision


async def test_impossible_keys(store: Store):
    with pytest.raises(ValueError, match="empty"):
        await store.create("", slot("x"))
    with pytest.raises(UnicodeEncodeError):
        await store.create("/\ud800", slot("x"))
    assert (await store.create("/ключ/\U0010ffff", slot("x"))).revision > 1


# Races


async def test_one_of_many_creates_wins(store: Store):
    results = await asyncio.gather(
        *(store.create("/a", slot(str(n))) for n in range(20)), return_exceptions=True
    )
    assert isinstance(results[0], KeyValue), "compared in the order of submission"
    assert all(isinstance(r, KeyExists) and r.current == results[0] for r in results[1:])


async def test_compare_is_made_against_writes_that_are_not_durable_yet(store: Store):
    made = await store.create("/a", slot("0"))
    results = await asyncio.gather(
        store.update("/a", slot("1"), made.revision),
        store.update("/a", slot("2"), made.revision),
        store.delete("/a"),
        store.update("/a", slot("3")),
        store.delete("/a"),
        store.create("/a", slot("4")),
        store.create("/a", slot("5")),
        return_exceptions=True,
    )
    kinds = [type(result) for result in results]
    assert kinds == [KeyValue, Conflict, KeyValue, KeyMissing, KeyMissing, KeyValue, KeyExists]
    assert results[1].current == results[0]
    assert store.get("/a") == results[5]


async def test_a_refusal_finds_what_refused_it_visible(store: Store):
    """So that a caller that reads again and retries does not spin."""

    async def lose() -> None:
        with pytest.raises(KeyExists) as refusal:
            await store.create("/a", slot("y"))
        assert store.get("/a") == refusal.value.current

    await asyncio.gather(store.create("/a", slot("x")), lose(), lose())


async def test_counting_with_compare_and_swap_loses_nothing(store: Store):
    await store.create("/n", Value(b"0 ", b""))

    async def add() -> None:
        while True:
            current = store.get("/n")
            number = int(current.value.split()[0]) + 1
            try:
                await store.update("/n", Value(f"{number} ".encode(), b""), current.revision)
                return
            except Conflict:
                continue

    await asyncio.gather(*(add() for _ in range(30)))
    assert store.get("/n").value.startswith(b"30 ")


async def test_a_write_is_visible_when_it_returns_and_its_watchers_know(store: Store):
    subscription = store.watch("/a/", 1)
    for number in range(10):
        made = await store.create(f"/a/{number}", slot("x"))
        assert store.get(made.key) is made
        assert store.revision >= made.revision
        (event,) = await take(subscription, 1)
        assert event.revision == made.revision


async def test_a_cancelled_write_harms_no_other(store: Store):
    doomed = asyncio.ensure_future(store.create("/a", slot("x")))
    await asyncio.sleep(0)
    doomed.cancel()
    others = await asyncio.gather(*(store.create(f"/b/{n}", slot("x")) for n in range(5)))
    assert [store.get(item.key) for item in others] == others
    await asyncio.gather(doomed, return_exceptions=True)
    current = store.get("/a")
    if current is None:
        await store.create("/a", slot("y"))
    else:
        await store.update("/a", slot("y"), current.revision)


# Listing


async def fill(store: Store, prefix: str, count: int) -> list[KeyValue]:
    return [await store.create(f"{prefix}{n:03}", slot("x")) for n in range(count)]


async def test_list_is_by_prefix_and_in_order_of_keys(store: Store):
    for key in ("/r/b/x", "/r/a/2", "/r/a/1", "/r/ab", "/r/a\U0010ffff/z", "/q", "/s"):
        await store.create(key, slot("x"))
    keys = [item.key for item in store.list("/r/").items]
    assert keys == ["/r/a/1", "/r/a/2", "/r/ab", "/r/a\U0010ffff/z", "/r/b/x"]
    assert [item.key for item in store.list("/r/a/").items] == ["/r/a/1", "/r/a/2"]
    assert [item.key for item in store.list("/r/a\U0010ffff").items] == ["/r/a\U0010ffff/z"]
    assert (store.count("/r/a"), store.count("/r/c"), store.count("")) == (4, 0, 7)


async def test_pages(store: Store):
    items = await fill(store, "/r/", 10)
    await fill(store, "/s/", 3)
    first = store.list("/r/", limit=4)
    assert first == (items[:4], store.revision, True, 6)
    second = store.list("/r/", after=first.items[-1].key, limit=4)
    assert second == (items[4:8], store.revision, True, 2)
    assert store.list("/r/", after="/r/007", limit=2) == (items[8:], store.revision, False, 0)
    assert store.list("/r/", after="/r/0055").items == items[6:]
    assert store.list("/r/", after="/a").items == items
    assert store.list("/r/", after="/z") == ([], store.revision, False, 0)
    with pytest.raises(ValueError, match="negative"):
        store.list("/r/", limit=-1)


async def test_list_at_a_revision_sees_nothing_newer(store: Store):
    old = await fill(store, "/r/pods/", 6)
    then = store.revision
    await store.delete("/r/pods/001")
    await store.update("/r/pods/002", slot("new"))
    await store.update("/r/pods/002", slot("newer"))
    await store.create("/r/pods/0015", slot("between"))
    await store.delete("/r/pods/0015")
    await store.create("/r/pods/0025", slot("between"))
    await store.create("/r/else/1", slot("x"))
    await store.delete("/r/pods/005")
    await store.create("/r/pods/005", slot("again"))
    assert store.list("/r/pods/", revision=then) == (old, then, False, 0)
    page = store.list("/r/pods/", revision=then, limit=2)
    assert page == (old[:2], then, True, 4)
    page = store.list("/r/pods/", revision=then, limit=3, after=page.items[-1].key)
    assert page == (old[2:5], then, True, 1)
    assert store.list("/r/pods/", revision=then, after="/z") == ([], then, False, 0)
    assert store.list("", revision=1) == ([], 1, False, 0)


async def test_list_beyond_and_before_what_is_known(store: Store):
    await fill(store, "/r/", 3)
    with pytest.raises(FutureRevision):
        store.list("/r/", revision=store.revision + 1)
    await store.compact(3)
    assert len(store.list("/r/", revision=3).items) == 2
    with pytest.raises(Compacted) as refusal:
        store.list("/r/", revision=2)
    assert (refusal.value.revision, refusal.value.compacted) == (2, 3)


# Watching


async def test_events_say_what_was_and_what_is(store: Store):
    subscription = store.watch("/r/", store.revision)
    made = await store.create("/r/a", slot("x"))
    updated = await store.update("/r/a", slot("y"))
    gone = await store.delete("/r/a", None, slot("z"))
    events = await take(subscription, 3)
    assert [event.type for event in events] == ["created", "modified", "deleted"]
    assert [event.value for event in events] == [made.value, updated.value, gone.value]
    assert [event.previous for event in events] == [None, made.value, updated.value]
    assert [e.revision for e in events] == [made.revision, updated.revision, gone.revision]
    assert {event.created for event in events} == {made.revision}
    assert [event.previous_revision for event in events] == [None, made.revision, updated.revision]


async def test_a_watch_sees_its_prefix_only(store: Store):
    prefixes = ("/r/pods/", "/r/pods/a/", "/r/pods/a/1", "/r/p", "/r", "", "/r/nodes/")
    keys = ("/r/pods/a/1", "/r/pods/a/12", "/r/pods/b/1", "/r/nodes/n", "/x", "/r/pod")
    watches = {prefix: store.watch(prefix, 1) for prefix in prefixes}
    for key in keys:
        await store.create(key, slot("x"))
    for prefix, subscription in watches.items():
        expected = [key for key in keys if key.startswith(prefix)]
        assert [e.key for e in await take(subscription, len(expected))] == expected
        assert [e.key for e in await take(store.watch(prefix, 1), len(expected))] == expected


async def test_a_watch_resumes_without_gap_or_duplicate(store: Store):
    items = await fill(store, "/r/a/", 10)
    for index, item in enumerate(list(items)):
        subscription = store.watch("/r/a/", item.revision)
        late = await store.create(f"/r/a/late{index}", slot("x"))
        items.append(late)
        events = await take(subscription, len(items) - index - 1)
        assert [event.revision for event in events] == [i.revision for i in items[index + 1 :]]


async def test_watch_beyond_and_before_what_is_known(store: Store):
    await fill(store, "/r/", 3)
    with pytest.raises(FutureRevision):
        store.watch("/r/", store.revision + 1)
    await store.compact(3)
    with pytest.raises(Compacted):
        store.watch("/r/", 2)
    assert [e.revision for e in await take(store.watch("/r/", 3), 1)] == [4]


async def test_progress_of_a_watch(store: Store):
    subscription = store.watch("/r/a/", 1)
    assert subscription.revision == 1
    other = await store.create("/r/b/1", slot("x"))
    assert subscription.revision == other.revision, "nothing before it matched"
    first = await store.create("/r/a/1", slot("x"))
    await store.create("/r/a/2", slot("x"))
    assert subscription.revision == first.revision - 1
    await take(subscription, 2)
    assert subscription.revision == store.revision


async def test_a_slow_watcher_is_closed_and_can_resume(store: Store):
    subscription = store.watch("/r/a/", 1, buffer=3)
    received = await store.create("/r/a/0", slot("x"))
    await take(subscription, 1)
    for number in range(1, 6):
        await store.create(f"/r/a/{number}", slot("x"))
    with pytest.raises(SubscriptionClosed, match="slow"):
        await subscription.next()
    assert subscription.revision == received.revision
    rest = await take(store.watch("/r/a/", subscription.revision), 5)
    assert [event.key for event in rest] == [f"/r/a/{n}" for n in range(1, 6)]


async def test_take_gives_what_is_there_and_never_waits(store: Store):
    subscription = store.watch("/r/a/", 1, buffer=2)
    assert subscription.take() == []
    await fill(store, "/r/a/", 2)
    assert len(subscription.take()) == 2
    assert subscription.revision == store.revision
    await fill(store, "/r/a/more", 3)
    with pytest.raises(SubscriptionClosed, match="slow"):
        subscription.take()


async def test_the_backlog_of_a_watch_may_exceed_its_buffer(store: Store):
    await fill(store, "/r/a/", 10)
    subscription = store.watch("/r/a/", 1, buffer=2)
    await store.create("/r/a/x", slot("x"))
    await take(subscription, 11)
    for number in range(3):
        await store.create(f"/r/a/y{number}", slot("x"))
    with pytest.raises(SubscriptionClosed, match="slow"):
        await subscription.next()


async def test_a_full_watcher_does_not_disturb_others(store: Store):
    slow = [store.watch("/r/a/", 1, buffer=1) for _ in range(3)]
    fast = store.watch("/r/a/", 1)
    await fill(store, "/r/a/", 5)
    await take(fast, 5)
    for subscription in slow:
        with pytest.raises(SubscriptionClosed, match="slow"):
            await subscription.next()


async def test_cancelling_next_loses_nothing(store: Store):
    subscription = store.watch("/r/", 1)
    waiting = asyncio.ensure_future(subscription.next())
    await asyncio.sleep(0)
    write = asyncio.ensure_future(store.create("/r/a", slot("x")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    made = await write
    assert [event.revision for event in await take(subscription, 1)] == [made.revision]


async def test_notify_ends_a_wait_and_loses_nothing(store: Store):
    subscription = store.watch("/r/", 1)
    subscription.notify()  # nobody waits
    waiting = asyncio.ensure_future(subscription.next())
    await asyncio.sleep(0)
    subscription.notify()
    subscription.notify()
    assert await waiting == []
    made = await store.create("/r/a", slot("x"))
    assert [event.revision for event in await take(subscription, 1)] == [made.revision]


async def test_a_watch_that_ends_as_it_is_notified_has_ended(store: Store):
    subscription = store.watch("/r/", 1)
    waiting = asyncio.ensure_future(subscription.next())
    await asyncio.sleep(0)
    subscription.notify()
    subscription.close()
    with pytest.raises(SubscriptionClosed, match="closed"):
        await waiting


async def test_closing_a_watch(store: Store):
    subscription = store.watch("/r/", 1)
    waiting = asyncio.ensure_future(subscription.next())
    await asyncio.sleep(0)
    subscription.close()
    subscription.close()
    with pytest.raises(SubscriptionClosed, match="closed"):
        await waiting
    await store.create("/r/a", slot("x"))
    with pytest.raises(SubscriptionClosed):
        await subscription.next()


# Compaction and life cycle


async def test_compaction_keeps_the_present(store: Store):
    await fill(store, "/r/", 3)
    await store.update("/r/000", slot("y"))
    await store.delete("/r/001")
    items, revision = store.list("").items, store.revision
    await store.compact(revision)
    await store.compact(2)  # nothing left to do
    assert store.list("").items == items
    assert store.compacted == revision
    with pytest.raises(FutureRevision):
        await store.compact(store.revision + 100)
    made = await store.create("/r/001", slot("z"))
    assert made.created == made.revision


async def test_a_running_watch_survives_compaction(store: Store):
    subscription = store.watch("/r/", 1)
    await fill(store, "/r/", 3)
    await store.compact(store.revision)
    assert len(await take(subscription, 3)) == 3


async def test_history_is_bounded(make_store):
    async with make_store(history=40) as store:
        items = await fill(store, "/r/", 100)
        assert items[50].revision <= store.compacted <= items[90].revision
        assert store.list("/r/").items == items
        rest = [i for i in items if i.revision > store.compacted]
        assert len(await take(store.watch("/r/", store.compacted), len(rest))) == len(rest) <= 40


async def test_before_start_and_after_close(make_store):
    store = make_store()
    with pytest.raises(StoreUnavailable, match="not been started"):
        await store.create("/a", slot("x"))
    async with store:
        await store.create("/a", slot("x"))
        subscription = store.watch("", 1)
        idle = store.watch("/none", 1)
        waiting = asyncio.ensure_future(idle.next())
        await asyncio.sleep(0)
    with pytest.raises(SubscriptionClosed, match="store closed"):
        await waiting
    assert len(await subscription.next()) == 1, "what was published is still delivered"
    with pytest.raises(SubscriptionClosed, match="store closed"):
        await subscription.next()
    for attempt in (store.create("/b", slot("x")), store.delete("/a"), store.compact(1)):
        with pytest.raises(StoreUnavailable, match="closed"):
            await attempt
    with pytest.raises(StoreUnavailable, match="closed"):
        store.watch("", 1)


async def test_closing_commits_what_was_submitted(make_store):
    store = make_store()
    await store.start()
    writes = [asyncio.ensure_future(store.create(f"/{n}", slot("x"))) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()
    assert [(await write).key for write in writes] == [f"/{n}" for n in range(20)]


# The memory engine's own promises


async def test_errors_of_the_memory_store_leave_no_trace():
    def full(event: Event) -> None:
        if b"poison" in event.value:
            raise OSError("no space left on device")

    async with MemoryStore(before_commit=full) as store:
        made = await store.create("/a", slot("x"))
        with pytest.raises(StoreUnavailable, match="no space"):
            await store.update("/a", slot("poison"))
        assert store.get("/a") is made
        assert store.revision == made.revision
        assert (await store.update("/a", slot("y"), made.revision)).revision > made.revision


def test_memory_store_runs_under_a_virtual_clock():
    async def month() -> list[str]:
        async with MemoryStore() as store:
            subscription = store.watch("/r/", 1)

            async def write() -> None:
                for day in range(31):
                    await asyncio.sleep(86_400)
                    await store.create(f"/r/{day}", slot("x"))

            task = asyncio.ensure_future(write())
            received: list[str] = []
            while len(received) < 31:
                received += [event.key for event in await subscription.next()]
            await task
            return received

    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(month()) == [f"/r/{day}" for day in range(31)]
    finally:
        loop.close()


def test_the_contract_stays_short():
    assert len(inspect.getsource(contract).splitlines()) < 150
