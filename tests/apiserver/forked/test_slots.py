"""Users take turns: one user's thousand long requests delay another's first by one of them."""

from __future__ import annotations

import asyncio

from trireme.apiserver.forked.slots import Slots


async def test_users_take_turns() -> None:
    slots, order = Slots(1), []

    async def one(user: str, number: int) -> None:
        async with slots.one(user):
            order.append(f"{user}{number}")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(one("a", number))
        await asyncio.sleep(0)
        for number in range(2):
            group.create_task(one("b", number))
    assert order == ["a0", "a1", "b0", "a2", "b1"]


async def test_so_many_at_a_time() -> None:
    slots, inside, most = Slots(2), 0, 0

    async def one(user: str) -> None:
        nonlocal inside, most
        async with slots.one(user):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async with asyncio.TaskGroup() as group:
        for number in range(9):
            group.create_task(one(f"user-{number % 3}"))
    assert most == 2


async def test_who_gives_up_holds_nobody_up() -> None:
    slots = Slots(1)
    waiting = []
    async with slots.one("a"):
        for user in ("a", "a", "b"):
            waiting.append(asyncio.create_task(_hold(slots, user)))
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    # Cancelled in the very moment in which its turn came.
    waiting[1].cancel()
    assert await waiting[2] == "b"
    assert await asyncio.gather(*waiting, return_exceptions=True) != []
    assert await asyncio.wait_for(_hold(slots, "c"), 1) == "c"


async def _hold(slots: Slots, user: str) -> str:
    async with slots.one(user):
        return user
