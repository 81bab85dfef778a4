"""The three shapes of an answer. The transport (``serve``, or a call in process) carries them out.

- ``Reply``: status, headers and a body that is complete.
- ``StreamReply``: the same head and an async iterator of chunks (watch, follow a log).
- ``UpgradeReply``: the connection leaves HTTP; ``run`` gets what the transport offers.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp.web import StreamResponse

from trireme.machinery import errors

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


Piece = bytes | memoryview
# The pieces of a body, each of about so many bytes.
Pieces = Callable[[int], Iterable[Piece]]


def _nothing(size: int) -> Iterable[Piece]:
    return ()


class Reply:
    """A complete answer. Its body is one piece, or made piece by piece when it is written: a large
    list never exists as a whole beside the objects that it is made of."""

    __slots__ = (
        "_body",
        "_end",
        "_made",
        "content_type",
        "headers",
        "length",
        "negotiable",
        "status",
        "warnings",
    )

    _body: bytes | None
    _end: bytes
    _made: Pieces

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str = JSON,
        headers: MutableMapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.content_type = content_type
        self.headers: MutableMapping[str, str] = {} if headers is None else headers
        # The values of the Warning headers, of which there may be several.
        self.warnings: Sequence[str] = ()
        self.body = body
        # An API object in JSON that ``form.transform`` still puts into the accepted form.
        self.negotiable = False

    @classmethod
    def made(cls, length: int, pieces: Pieces) -> Reply:
        """A body of ``length`` bytes, made piece by piece."""
        reply = cls()
        reply._body, reply._made, reply.length = None, pieces, length
        return reply

    @classmethod
    def joined(cls, parts: Sequence[Piece], length: int) -> Reply:
        """A body of ``length`` bytes in many small parts."""

        def pieces(size: int) -> Iterator[Piece]:
            count = max(1, len(parts) * size // max(length, 1))
            for start in range(0, len(parts), count):
                yield b"".join(parts[start : start + count]) if count > 1 else parts[start]

        return cls.made(length, pieces)

    @property
    def body(self) -> bytes:
        """The whole body."""
        if self._body is None:
            self._body = b"".join((*self._made(self.length), self._end))
        return self._body

    @body.setter
    def body(self, value: bytes) -> None:
        self._body = value
        self._made = _nothing
        self._end = b""
        self.length = len(value)

    def end_line(self) -> None:
        """End the body with a line break, as upstream's JSON does."""
        if self._body is None:
            self._end = b"\n"
            self.length += 1
        else:
            self.body = self._body + b"\n"

    def pieces(self, size: int) -> Iterator[Piece]:
        """The body in pieces of about ``size`` bytes, twice that at most."""
        made = self._made(size) if self._body is None else (self._body,)
        for piece in made:
            if len(piece) <= 2 * size:
                yield piece
                continue
            whole = memoryview(piece)
            for start in range(0, len(whole), size):
                yield whole[start : start + size]
        if self._body is None and self._end:
            yield self._end


class Aborted(Exception):
    """The chunks of a ``StreamReply`` end before their time: so must the client's connection, or
    what has come would pass for the whole."""


class Chunks(Protocol[T_co]):
    """An asynchronous iterator that is closed by whoever stops to read."""

    def __aiter__(self) -> AsyncIterator[T_co]: ...

    def __anext__(self) -> Awaitable[T_co]: ...

    def aclose(self) -> Awaitable[None]: ...


class Closing(Generic[T]):
    """Chunks whose source is closed at the end, also when nobody ever began to read them."""

    __slots__ = ("_chunks", "_close")

    def __init__(self, chunks: AsyncGenerator[T], close: Callable[[], Awaitable[None]]) -> None:
        self._chunks = chunks
        self._close = close

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    def __anext__(self) -> Awaitable[T]:
        return self._chunks.__anext__()

    async def aclose(self) -> None:
        try:
            await self._chunks.aclose()
        finally:
            await self._close()


@dataclass(slots=True)
class StreamReply:
    """A head and chunks; the iterator is closed when the client goes away. Their length may stand
    in the header ``Content-Length``."""

    chunks: Chunks[bytes]
    status: int = 200
    content_type: str = JSON
    headers: MutableMapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    # Gets a way to write chunks at once while ``chunks`` waits: True if the client keeps up, else
    # nothing has been written.
    direct: Callable[[Callable[[bytes], bool]], None] | None = None


@dataclass(slots=True)
class UpgradeReply:
    """``run(connection)`` takes over the connection and returns when it is over."""

    run: Callable[[Any], Awaitable[StreamResponse]]
    headers: dict[str, str] = field(default_factory=dict)


AnyReply = Reply | StreamReply | UpgradeReply


def encoded(value: Any, status: int = 200) -> Reply:
    """A plain value that is no API object, as JSON for everybody."""
    return Reply(status, msgspec.json.encode(value))


def described(obj: Any, status: int = 200) -> Reply:
    """An API object that is no stored one, in the form that the client accepts."""
    answer = encoded(obj, status)
    answer.negotiable = True
    return answer


def no_page() -> Reply:
    """404 for a path that leads nowhere: text, as no group of the API answers."""
    return Reply(404, b"404 page not found\n", TEXT)


def error(failure: errors.ApiError) -> Reply:
    """The Status that answers a failed request, with Retry-After where the error names a time."""
    reply = described(failure.status(), failure.code)
    if failure.details is not None and failure.details.retryAfterSeconds:
        reply.headers["Retry-After"] = str(failure.details.retryAfterSeconds)
    return reply
