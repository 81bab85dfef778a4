"""The API server's connections: how long a client may take, and what heads and bodies may hold.

In: connections that ``serve`` accepts. Out: requests for its handler. What a connection refuses,
and how, is in ``kit.connections``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from trireme.apiserver.bodies import Budget, Share
from trireme.kit import connections, memory

# Seconds.
TRIM_AFTER = 10.0


@dataclass(frozen=True)
class Limits:
    """Seconds. ``head``: until a request's head is complete, also the pause between requests;
    ``body``: until its body is; ``stalled``: that a client may take nothing of an answer."""

    head: float = 75.0
    body: float = 60.0
    stalled: float = 60.0
    # That a client may take for an answer that is no stream; upstream's --request-timeout.
    answer: float = 60.0
    # For a client to close its connection: the server stops, or gave up on its body.
    farewell: float = 1.0
    # Bytes of bodies, and of heads that are not complete, that all requests hold together.
    held: int = 64 * 1024 * 1024


class Front(connections.Front):
    """Makes the connections. A client that goes away cancels what is done for it."""

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[web.StreamResponse]],
        limits: Limits,
        budget: Budget,
        log: logging.Logger,
    ) -> None:
        super().__init__(handler, log, head=limits.head, farewell=limits.farewell)
        self._budget = budget
        budget.freed = self._trim_later
        self._trimming: asyncio.TimerHandle | None = None

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._budget, **self.options)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._trim_later()

    async def shutdown(self, timeout: float | None = None) -> None:
        await super().shutdown(timeout)
        if self._trimming is not None:
            self._trimming.cancel()

    def _trim_later(self) -> None:
        """What connections and bodies leave free goes back to the kernel, in a while."""
        if self._trimming is None:
            self._trimming = self._running.call_later(TRIM_AFTER, self._trim)

    def _trim(self) -> None:
        self._trimming = None
        self._running.run_in_executor(None, memory.trim)


class _Connection(connections.Connection):
    """One client. An incomplete head counts against the budget beyond its first bytes."""

    __slots__ = ("_share",)

    def __init__(self, manager: web.Server, budget: Budget, **options: Any) -> None:
        super().__init__(manager, **options)
        self._share = Share(budget, "")

    def hold(self, size: int) -> bool:
        return self._share.try_grow(size)

    def let_go(self) -> None:
        self._share.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._share.close()
