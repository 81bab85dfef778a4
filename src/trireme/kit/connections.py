"""aiohttp's server for whoever may be asked by anybody: what a client may send before it is known.

In: connections that a listener accepts. Out: requests for a handler, which is cancelled when its
client goes away; for what is no HTTP, the answer that Go's server gives (a line of text, then the
end) and one line in the log. Used by the API server and the kubelet.
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

# The request line and all header lines together, as in Go; the connection notices it between two
# reads of the socket, so a little more may pass.
HEAD_LIMIT = 1024 * 1024
# What a head may have without counting. Nearly all come in one piece.
HEAD_FREE = 16 * 1024
# So many lines of 20 bytes fill a head. Shorter ones would only cost time.
LINES_LIMIT = HEAD_LIMIT // 20


class Front(web.Server):
    """Makes the connections. ``head``: seconds until a request's head is complete, also the pause
    between requests; ``farewell``: what a client has that was told to leave."""

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
            # Bodies are what the client sent, as for upstream: no bomb is unpacked.
            "auto_decompress": False,
        }

    def __call__(self) -> RequestHandler:
        return Connection(self, **self.options)

    def _made(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> BaseRequest:
        kind = _Request
        if message.version.major != 1:
            # The answer is in the version of the request, and so has to be one.
            message = message._replace(version=HttpVersion11)
            kind = OtherHTTP
        return kind(message, payload, protocol, writer, task, self._running)


class Connection(RequestHandler):
    """One client."""

    __slots__ = ()

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._parser = _HeadParser(self._parser, self)  # type: ignore[assignment]

    def hold(self, size: int) -> bool:
        """Whether so many bytes more of a head that is not complete can be held."""
        return True

    def let_go(self) -> None:
        """Nothing of a head is held any more."""

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
        elif isinstance(exc, _Overloaded):
            status, reason = 503, "503 Service Unavailable"
        if exc is not None:
            # aiohttp keeps what it read last beside the exception, whose traceback leads back to
            # both: too much to leave to the collector.
            exc.__traceback__ = None
        self.logger.info("%s sent what is no request: %s", request.remote, reason)
        answer = web.Response(status=status, text=reason)
        answer.force_close()
        return answer


class _Overloaded(HttpProcessingError):
    """So much of other requests has not been read yet that a long head is not waited for."""

    def __init__(self) -> None:
        super().__init__(code=503, message="too much is unread")


class _HeadParser:
    """aiohttp's parser with a bound for the whole head: its own are for each line, and a number.

    After an error nothing more is read: each further piece would be one error more, and kept.
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
