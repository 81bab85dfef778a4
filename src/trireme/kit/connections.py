"""aiohttp's server with limits on what unauthenticated clients may send.

In: connections that a listener accepts. Out: requests for a handler, which is cancelled when its
client disconnects; for malformed HTTP, the response of Go's server (a line of text, then the end)
and one line in the log. Used by the API server and the kubelet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import EMPTY_PAYLOAD, HttpVersion11, web
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

# The request line and all header lines together, as in Go; checked between two reads of the socket,
# so that a little more may pass.
HEAD_LIMIT = 1024 * 1024
# Heads up to this size are not counted towards the limit. Nearly all arrive in one piece.
HEAD_FREE = 16 * 1024
# The maximum number of header lines: so many lines of 20 bytes fill a head.
LINES_LIMIT = HEAD_LIMIT // 20


class Front(web.Server):
    """Makes the connections. ``head``: seconds until a request's head is complete, also the idle
    time between requests; ``farewell``: seconds for a client to close after a final response."""

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[web.StreamResponse]],
        log: logging.Logger,
        *,
        head: float = 75.0,
        farewell: float = 1.0,
    ) -> None:
        super().__init__(handler, request_factory=self._made, handler_cancellation=True)
        self._running = asyncio.get_running_loop()
        self.options: dict[str, Any] = {
            "loop": self._running,
            "access_log": None,
            "logger": log,
            "keepalive_timeout": head,
            "lingering_time": farewell,
            "max_line_size": HEAD_LIMIT,
            "max_field_size": HEAD_LIMIT,
            "max_headers": LINES_LIMIT,
            # Bodies are not decompressed, like upstream: no zip bombs.
            "auto_decompress": False,
        }

    def __call__(self) -> RequestHandler:
        return Connection(self, **self.options)

    def _made(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> BaseRequest:
        kind = _Request
        if message.version.major != 1:
            # The response has the version of the request, which must be a valid one.
            message = message._replace(version=HttpVersion11)
            kind = OtherHTTP
        return kind(message, payload, protocol, writer, task, self._running)


class Connection(RequestHandler):
    """One client."""

    __slots__ = ()

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        # aiohttp has no protocol for its parser; this wraps it.
        self._parser = _HeadParser(self._parser, self)  # type: ignore[assignment]

    def hold(self, size: int) -> bool:
        """Whether so many bytes more of an incomplete head may be buffered."""
        return True

    def let_go(self) -> None:
        """No part of a head is buffered any more."""

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Malformed HTTP is the client's error: no traceback. All else is a bug, and logged."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        reason = "400 Bad Request"
        if isinstance(exc, LineTooLong):
            status, reason = 431, "431 Request Header Fields Too Large"
        elif isinstance(exc, _Overloaded):
            status, reason = 503, "503 Service Unavailable"
        if exc is not None:
            # A reference cycle between the exception, its traceback and aiohttp's buffer: broken
            # here, as the collector would free it too late.
            exc.__traceback__ = None
        self.logger.info("%s sent what is no request: %s", request.remote, reason)
        answer = web.Response(status=status, text=reason)
        answer.force_close()
        return answer


class _Overloaded(HttpProcessingError):
    """Too many bytes of incomplete heads are buffered already."""

    def __init__(self) -> None:
        super().__init__(code=503, message="too much is unread")


class _HeadParser:
    """aiohttp's parser with a limit for the whole head: its own are per line, and on their number.

    After an error nothing more is parsed: each further piece would raise and keep another error.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_head",
        "_over",
        "_parser",
        "message_consumed",
        "pause_reading",
    )

    def __init__(self, parser: Any, connection: Connection) -> None:
        self._parser = parser
        self._connection = connection
        # Bytes of a head that is not complete, and the body that comes before the next head.
        self._head = 0
        self._over = False
        self._body: Any = EMPTY_PAYLOAD
        self.message_consumed = parser.message_consumed
        self.pause_reading = parser.pause_reading

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        if self._over:
            return (), False, b""
        in_head = self._body.is_eof()
        try:
            found: tuple[Any, bool, bytes] = self._parser.feed_data(data)
            if found[0]:
                self._body = found[0][-1][1]
                if self._head:
                    self._head = 0
                    self._connection.let_go()
            elif in_head:
                self._head += len(data)
                if self._head > HEAD_LIMIT:
                    raise LineTooLong(b"", HEAD_LIMIT)
                if self._head > HEAD_FREE and not self._connection.hold(len(data)):
                    raise _Overloaded
        except HttpProcessingError:
            self._over = True
            self._connection.let_go()
            raise
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


class _Request(BaseRequest):
    """An HTTP/1 request."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        # No Server header with aiohttp's version, like upstream; that of a pod behind the proxy
        # stays.
        if response.headers.get("Server") == SERVER_SOFTWARE:
            del response.headers["Server"]
        # No Content-Type without content.
        if not response.headers.get("Content-Type", "-"):
            del response.headers["Content-Type"]


class OtherHTTP(_Request):
    """A request of another version than HTTP/1, such as one that names none."""


def refusal() -> web.StreamResponse:
    """What Go's server answers it, and the end of the connection."""
    answer = web.Response(status=400, text="400 Bad Request")
    answer.force_close()
    return answer
