"""Groups of tasks.

In: coroutines. Out: all have ended when the call returns. Called by relays between two connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


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
