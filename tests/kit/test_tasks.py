"""Tasks that end together."""

from __future__ import annotations

import asyncio

import pytest

from trireme.kit import tasks


async def test_the_first_end_ends_the_others() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    async def short() -> None:
        await asyncio.sleep(0)
        ended.append("short")

    await tasks.until_first(endless(), short())
    assert ended == ["short", "endless"]


@pytest.mark.parametrize(("error", "received"), [(ConnectionResetError, False), (ValueError, True)])
async def test_a_lost_connection_is_an_end_and_a_fault_is_not(
    error: type[Exception], received: bool
) -> None:
    async def fails() -> None:
        raise error

    if not received:
        await tasks.until_first(fails())
        return
    with pytest.raises(error):
        await tasks.until_first(fails())
