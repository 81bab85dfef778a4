"""aiohttp's server with our limits: how long a client may take, how large a head may be.

In: connections that ``serve`` accepts. Out: requests for its handler; for what is no HTTP, the
answer that Go's server gives (a line of text, then the end) and one line in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

BODY_LIMIT = 3 * 1024 * 1024
# Of the request line and of each header line. Go allows 1 MiB for the whole head.
LINE_LIMIT = 128 * 1024


@dataclass(frozen=True)
class Limits:
    """Seconds. ``head``: until a request's head is complete, also the pause between requests;
    ``body``: until its body is; ``stalled``: that a client may take nothing of an answer."""

    head: float = 75.0
    body: float = 60.0
    stalled: float = 60.0
    # What a client has that was told to leave: the server stops, or gave up on its body.
    farewell: float = 1.0


class Front(web.Server):
    """Makes the connections. A client that goes away cancels what is done for it."""

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[web.StreamResponse]],
        limits: Limits,
        log: logging.Logger,
    ) -> None:
        super().__init__(handler, request_factory=_bounded, handler_cancellation=True)
        self._limits = limits
        self._log = log
        self._running = asyncio.get_running_loop()

    def __call__(self) -> RequestHandler:
        return _Connection(
            self,
            loop=self._running,
            access_log=None,
            logger=self._log,
            keepalive_timeout=self._limits.head,
            lingering_time=self._limits.farewell,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
            # A bomb must not be unpacked before its size is looked at.
            auto_decompress=False,
        )


class _Connection(RequestHandler):
    """One client. Public hooks only: what aiohttp says when it cannot go on."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is the client's fault: no traceback. All else is a bug, and logged."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        reason = "400 Bad Request"
        if isinstance(exc, LineTooLong):
            status, reason = 431, "431 Request Header Fields Too Large"
        self.logger.info("%s sent what is no request: %s", request.remote, reason)
        answer = web.Response(status=status, text=reason)
        answer.force_close()
        return answer


class OtherHTTP(BaseRequest):
    """A request of another version than HTTP/1, such as one that names none."""


def refusal() -> web.StreamResponse:
    """What Go's server answers it, and the end of the connection."""
    answer = web.Response(status=400, text="400 Bad Request")
    answer.force_close()
    return answer


def _bounded(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> BaseRequest:
    """A request whose body may be as large as upstream allows."""
    kind = BaseRequest
    if message.version.major != 1:
        # The answer is in the version of the request, and so has to be one.
        message = message._replace(version=HttpVersion11)
        kind = OtherHTTP
    loop = asyncio.get_running_loop()
    return kind(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT + 1)
