"""Two connections made one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from trireme.apiserver.nodes.contract import RawStream


async def join(one: RawStream, other: RawStream) -> None:
    """Copy both ways until either end is done; then close both."""

    async def copy(source: RawStream, target: RawStream) -> None:
        while data := await source.read():
            await target.write(data)

    try:
        await until_first(copy(one, other), copy(other, one))
    finally:
        one.close()
        other.close()


async def until_first(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all until the first has ended, then end the others. A lost connection is an end."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            problem = task.exception()
            if problem is not None and not isinstance(problem, OSError):
                raise problem
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
