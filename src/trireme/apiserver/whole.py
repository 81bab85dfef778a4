"""Short answers of the usual form, written in one piece.

In: a request of HTTP/1.1 whose connection stays open, and a complete answer without headers of its
own: nearly all are such. Out: the bytes are on the connection. aiohttp's response objects, which
all other answers take, cost a fifth of what a GET does.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_request import BaseRequest

from trireme.apiserver.reply.reply import Reply

# The first lines of answers by status and media type; so many are kept.
_HEADS: dict[tuple[int, str], bytes] = {}
_KEPT = 256
# Answers that have no body, and no length.
_EMPTY = (204, 304)


class _Written(web.StreamResponse):
    """What aiohttp is given for an answer that is written already."""

    def __init__(self) -> None:
        super().__init__()
        self._keep_alive = True

    async def prepare(self, request: BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


_WRITTEN = _Written()


def fits(incoming: BaseRequest, answer: Reply) -> bool:
    """Whether an answer is of the usual form; the media type is plain text of a header."""
    return (
        not answer.headers
        and not answer.warnings
        and incoming.version == HttpVersion11
        and incoming.keep_alive
        and incoming.method != "HEAD"
        and answer.status >= 200
        and answer.status not in _EMPTY
        and answer.content_type.isascii()
        and answer.content_type.isprintable()
    )


async def write(
    incoming: BaseRequest, answer: Reply, audit_id: str, head: str = ""
) -> web.StreamResponse:
    """Write the answer; a client that is slow to take it is waited for. ``audit_id`` is ours;
    ``head`` are lines of further headers."""
    transport = incoming.transport
    if transport is None or transport.is_closing():
        # The client has gone; there is nobody to tell.
        return _WRITTEN
    body = answer.body
    rest = (
        f"Audit-Id: {audit_id}\r\n{head}Content-Length: {len(body)}\r\n"
        f"Date: {rfc822_formatted_time()}\r\n\r\n"
    )
    transport.write(b"".join((_head(answer.status, answer.content_type), rest.encode(), body)))
    protocol = incoming.protocol
    if protocol.writing_paused:
        await protocol._drain_helper()
    return _WRITTEN


def _head(status: int, content_type: str) -> bytes:
    key = status, content_type
    head = _HEADS.get(key)
    if head is None:
        lines = [f"HTTP/1.1 {status} {_reason(status)}"]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines.append("Cache-Control: no-cache, private\r\n")
        head = "\r\n".join(lines).encode()
        if len(_HEADS) < _KEPT:
            _HEADS[key] = head
    return head


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
