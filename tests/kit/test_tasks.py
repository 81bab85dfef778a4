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


@pytest.mark.parametrize(("fault", "told"), [(ConnectionResetError, False), (ValueError, True)])
async def test_a_lost_connection_is_an_end_and_a_fault_is_not(
    fault: type[Exception], told: bool
) -> None:
    async def fails() -> None:
        raise fault

    if not told:
        await tasks.until_first(fails())
        return
    with pytest.raises(fault):
        await tasks.until_first(fails())
