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

from aiohttp import EMPTY_PAYLOAD, HttpVersion11, web
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

BODY_LIMIT = 3 * 1024 * 1024
# The request line and all header lines together, as in Go; the connection notices it between two
# reads of the socket, so a little more may pass.
HEAD_LIMIT = 1024 * 1024
# So many lines of 20 bytes fill a head. Shorter ones would only cost time.
LINES_LIMIT = HEAD_LIMIT // 20


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
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            max_headers=LINES_LIMIT,
            # A bomb must not be unpacked before its size is looked at.
            auto_decompress=False,
        )


class _Connection(RequestHandler):
    """One client."""

    __slots__ = ()

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._parser = _HeadParser(self._parser)  # type: ignore[assignment]

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


class _HeadParser:
    """aiohttp's parser with a bound for the whole head: its own are for each line, and a number."""

    __slots__ = ("_body", "_head", "_parser", "message_consumed", "pause_reading")

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        # Bytes of a head that is not complete, and the body that comes before the next head.
        self._head = 0
        self._body: Any = EMPTY_PAYLOAD
        self.message_consumed = parser.message_consumed
        self.pause_reading = parser.pause_reading

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        if self._body.is_eof():
            self._head += len(data)
        found: tuple[Any, bool, bytes] = self._parser.feed_data(data)
        if found[0]:
            self._head, self._body = 0, found[0][-1][1]
        elif self._head > HEAD_LIMIT:
            raise LineTooLong(b"", HEAD_LIMIT)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


class _Request(BaseRequest):
    """An HTTP/1 request."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        # aiohttp's name and version are nobody's business, and upstream sends none. A pod's own
        # server, behind the proxy, may say who it is.
        if response.headers.get("Server") == SERVER_SOFTWARE:
            del response.headers["Server"]
        # Where there is no content, it has no type.
        if not response.headers.get("Content-Type", "-"):
            del response.headers["Content-Type"]


class OtherHTTP(_Request):
    """A request of another version than HTTP/1, such as one that names none."""


def refusal() -> web.StreamResponse:
    """What Go's server answers it, and the end of the connection."""
    answer = web.Response(status=400, text="400 Bad Request")
    answer.force_close()
    return answer


def _bounded(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> BaseRequest:
    """A request whose body may be as large as upstream allows."""
    kind = _Request
    if message.version.major != 1:
        # The answer is in the version of the request, and so has to be one.
        message = message._replace(version=HttpVersion11)
        kind = OtherHTTP
    loop = asyncio.get_running_loop()
    return kind(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT + 1)
