"""A watch over a WebSocket: one message for each event.

In: the answer that the watch would have over HTTP. Out: the same events, text where they are JSON.
Called by ``dispatch``. Upstream: HandleWS of apiserver ``endpoints/handlers/watch``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

from trireme.apiserver.nodes import sockets
from trireme.apiserver.reply import negotiate
from trireme.apiserver.reply.reply import AnyReply, Chunks, Closing, StreamReply, UpgradeReply
from trireme.apiserver.request import Request
from trireme.machinery import errors

_LENGTH = 4


async def upgraded(request: Request, answer: StreamReply) -> AnyReply:
    """The answer in messages. The protocol is the client's, whatever it is, and means nothing."""
    form = answer.content_type.partition(";")[0]
    if form not in (negotiate.JSON, negotiate.PROTOBUF):
        await answer.chunks.aclose()
        raise errors.bad_request(f"a watch over a WebSocket is not served as {form}")
    protocol = sockets.offered(request)[0]
    events = _events(answer.chunks, form == negotiate.JSON)
    messages = Closing(events, answer.chunks.aclose)
    return UpgradeReply(lambda incoming: sockets.push(incoming, protocol, messages))


async def _events(chunks: Chunks[bytes], is_json: bool) -> AsyncGenerator[bytes | str]:
    async for chunk in chunks:
        if is_json:
            # A line is an event: JSON has no line break inside.
            for line in chunk.splitlines(keepends=True):
                yield line.decode()
        else:
            for frame in _frames(chunk):
                yield frame


def _frames(chunk: bytes) -> Iterator[bytes]:
    """The events without the length that stands before each in a body."""
    at = 0
    while at < len(chunk):
        begin = at + _LENGTH
        at = begin + int.from_bytes(chunk[at:begin], "big")
        yield chunk[begin:at]
