"""A configuration file that is read again as long as the server runs.

In: a way to read it, and what is done with a new content. Out: that it is done, once for each
content that can be used. Used by ``controllers/reloads`` and ``encryption``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class File:
    """A file and what is done with its content. ``seen`` is what it held at the start, None where
    its first content counts as that."""

    def __init__(
        self,
        read: Callable[[], bytes],
        put: Callable[[bytes], Awaitable[None] | None],
        observed: bytes | None,
    ) -> None:
        self._read = read
        self._put = put
        self._observed = observed

    async def look(self) -> None:
        """Read it; use what is new. What could not be used is tried again at the next look."""
        data = await asyncio.to_thread(self._read)
        if self._observed is not None and data != self._observed:
            waiting = self._put(data)
            if waiting is not None:
                await waiting
        self._observed = data
