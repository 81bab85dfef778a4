"""How many long requests are answered at a time, and whose is the next: users take turns.

In: the user of a long request. Out: the right to go on. One user with a thousand of them delays
another's first no longer than those take that are being answered.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """So many at a time. Of those that wait, each user's oldest, one user after the other."""

    def __init__(self, count: int) -> None:
        self._free = count
        # Who has waited longest for a turn comes first; whoever had the last one stands back.
        self._last = ""
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def one(self, user: str) -> AsyncIterator[None]:
        """Hold a slot."""
        await self._take(user)
        try:
            yield
        finally:
            self._release()

    async def _take(self, user: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            others = (user for user in self._waiting if user != self._last)
            user = next(others, self._last)
            line = self._waiting.pop(user)
            turn = line.popleft()
            if line:
                self._waiting[user] = line
            if not turn.cancelled():
                turn.set_result(None)
                self._last = user
                return
        self._free += 1
