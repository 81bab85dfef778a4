"""Watchers that take their events at once, without a task that wakes for each."""

from __future__ import annotations

import asyncio

import pytest

from trireme.store.contract import Event, Store, Subscription, SubscriptionClosed, Value
from trireme.store.history import AT_ONCE


def waits(watch: Subscription) -> asyncio.Task[list[Event]]:
    return asyncio.create_task(watch.next())


async def until(taken: list[int], revisions: list[int]) -> None:
    async with asyncio.timeout(10):
        while taken != revisions:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_what_is_taken_does_not_end_the_wait(store: Store) -> None:
    taken: list[int] = []
    watch = store.watch("/r/", store.revision)

    def take(events: list[Event]) -> bool:
        taken.extend(event.revision for event in events)
        return True

    watch.deliver(take)
    waiting = waits(watch)
    await asyncio.sleep(0)
    made = [await store.create(f"/r/{number}", Value(b"x", b"")) for number in range(3)]
    await until(taken, [item.revision for item in made])
    assert not waiting.done() and not watch.pending
    assert watch.revision == store.revision
    watch.close()
    with pytest.raises(SubscriptionClosed):
        await waiting


@pytest.mark.parametrize("raises", [False, True])
async def test_what_is_not_taken_ends_the_wait(store: Store, raises: bool) -> None:
    def take(events: list[Event]) -> bool:
        if raises:
            raise ValueError("not this one")
        return False

    watch = store.watch("/r/", store.revision)
    watch.deliver(take)
    waiting = waits(watch)
    await asyncio.sleep(0)
    made = await store.create("/r/a", Value(b"x", b""))
    assert [event.revision for event in await waiting] == [made.revision]
    # One that nobody waits for is left for the next wait.
    again = await store.create("/r/b", Value(b"x", b""))
    await asyncio.sleep(0)
    assert [event.revision for event in await watch.next()] == [again.revision]
    watch.close()


async def test_others_have_their_turn_between_many(store: Store) -> None:
    count = AT_ONCE * 3
    at: list[int] = []
    turn = 0
    loop = asyncio.get_running_loop()

    def others() -> None:
        nonlocal turn
        turn += 1
        if len(at) < count:
            loop.call_soon(others)

    def take(_: list[Event]) -> bool:
        at.append(turn)
        return True

    watching = [store.watch("/r/", store.revision) for _ in range(count)]
    for watch in watching:
        watch.deliver(take)
    waiting = [waits(watch) for watch in watching]
    await asyncio.sleep(0)
    loop.call_soon(others)
    await store.create("/r/a", Value(b"x", b""))
    async with asyncio.timeout(10):
        while len(at) < count:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert max(at.count(each) for each in at) == AT_ONCE
    for watch in watching:
        watch.close()
    await asyncio.gather(*waiting, return_exceptions=True)
