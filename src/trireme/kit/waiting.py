"""Wait for an event with a timeout.

In: an ``asyncio.Event`` and seconds of the loop's time (virtual in tests). Out: whether it was set.
"""

from __future__ import annotations

import asyncio


async def wait(event: asyncio.Event, seconds: float | None) -> bool:
    """True when ``event`` was set within ``seconds`` (``None``: no timeout)."""
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(None if seconds is None else max(seconds, 0)):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
