"""SPDY/3.1 framing, client side, without any I/O: bytes in, events out; calls in, bytes out.

Container runtimes stream exec, attach and port-forward over SPDY. The API server translates
kubectl's WebSockets to it, and a port-forwarding client in Python needs it too. Only what these use
is here: streams with headers, data, reset, ping and goaway; no flow control (the runtimes' library
has none). Rules: the SPDY Protocol, Draft 3.1, sections 2.2 to 2.6.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

FIN = 0x01
_VERSION = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 1, 2, 3, 4, 6, 7
_HEADERS = 8
CANCEL = 5
# Of the headers of a stream, unpacked, and of a frame of data. The runtimes' library writes what it
# is given in one frame, which are pieces of some ten kB.
HEADERS_LIMIT = 64 * 1024
FRAME_LIMIT = 4 * 1024 * 1024

# Section 2.6.10.1: words with their lengths, then one run of text, which deflate may refer to.
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language
accept-ranges age allow authorization cache-control connection content-base content-encoding
content-language content-length content-location content-md5 content-range content-type date etag
expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since
last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer
retry-after server te trailer transfer-encoding upgrade user-agent vary via warning
www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, "
    "Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = [word.replace("_", " ").encode() for word in _WORDS.split()]
    return b"".join(struct.pack(">I", len(word)) + word for word in words) + _TEXT.encode()


DICTIONARY = _dictionary()


class ProtocolError(Exception):
    """The peer sent what SPDY does not allow."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer has opened a stream (SYN_STREAM)."""

    stream: int
    headers: dict[str, str]
    fin: bool


@dataclass(frozen=True, slots=True)
class Replied:
    """The peer has accepted a stream that we opened."""

    stream: int
    headers: dict[str, str]
    fin: bool


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes on a stream; ``fin``: the peer sends no more on it."""

    stream: int
    data: bytes
    fin: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The stream is dead."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The peer takes no more streams."""

    status: int


Event = Opened | Replied | Data | Reset | GoneAway


class Connection:
    """One end of a connection. ``receive`` also queues what has to be answered: send ``take()``."""

    def __init__(self, *, client: bool = True) -> None:
        self._next = 1 if client else 2
        self._packer = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zdict=DICTIONARY)
        self._unpacker = zlib.decompressobj(zdict=DICTIONARY)
        self._pending = b""
        self._out: list[bytes] = []

    def take(self) -> bytes:
        """The bytes that are to be sent now."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def open(self, headers: Mapping[str, str]) -> int:
        """Open a stream; returns its number."""
        stream, self._next = self._next, self._next + 2
        body = struct.pack(">IIH", stream, 0, 0) + self._pack(headers)
        self._control(_SYN_STREAM, 0, body)
        return stream

    def accept(self, stream: int) -> None:
        """Accept a stream that the peer opened."""
        self._control(_SYN_REPLY, 0, struct.pack(">I", stream) + self._pack({}))

    def send(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """Send bytes, or with ``fin`` say that no more come."""
        head = struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(data))
        self._out.append(head + data)

    def reset(self, stream: int, status: int = CANCEL) -> None:
        """Kill a stream."""
        self._control(_RST_STREAM, 0, struct.pack(">II", stream, status))

    def receive(self, data: bytes) -> list[Event]:
        """What the peer's bytes say. An incomplete frame waits for the rest."""
        self._pending += data
        events: list[Event] = []
        at = 0
        while len(self._pending) - at >= 8:
            first, second = struct.unpack_from(">II", self._pending, at)
            size = second & 0xFFFFFF
            if size > FRAME_LIMIT:
                raise ProtocolError(f"a frame of {size} bytes")
            if len(self._pending) - at - 8 < size:
                break
            body = self._pending[at + 8 : at + 8 + size]
            at += 8 + size
            event = self._frame(first, second >> 24, body)
            if event is not None:
                events.append(event)
        self._pending = self._pending[at:]
        return events

    def _frame(self, first: int, flags: int, body: bytes) -> Event | None:
        if not first & 0x80000000:
            return Data(first, body, bool(flags & FIN))
        if first >> 16 & 0x7FFF != _VERSION:
            raise ProtocolError(f"SPDY version {first >> 16 & 0x7FFF}")
        kind = first & 0xFFFF
        try:
            return self._control_frame(kind, flags, body)
        except (struct.error, zlib.error, UnicodeDecodeError) as problem:
            raise ProtocolError(f"malformed frame of type {kind}: {problem}") from None

    def _control_frame(self, kind: int, flags: int, body: bytes) -> Event | None:
        fin = bool(flags & FIN)
        if kind == _SYN_STREAM:
            (stream,) = struct.unpack_from(">I", body)
            return Opened(stream, self._unpack(body[10:]), fin)
        if kind in (_SYN_REPLY, _HEADERS):
            (stream,) = struct.unpack_from(">I", body)
            headers = self._unpack(body[4:])
            return Replied(stream, headers, fin) if kind == _SYN_REPLY else None
        if kind == _RST_STREAM:
            return Reset(*struct.unpack(">II", body))
        if kind == _PING:
            (number,) = struct.unpack(">I", body)
            if number % 2 != self._next % 2:
                self._control(_PING, 0, body)
            return None
        if kind == _GOAWAY:
            return GoneAway(struct.unpack(">II", body)[1])
        # Settings and window updates say nothing that matters without flow control.
        return None

    def _control(self, kind: int, flags: int, body: bytes) -> None:
        head = struct.pack(">HHI", 0x8000 | _VERSION, kind, flags << 24 | len(body))
        self._out.append(head + body)

    def _pack(self, headers: Mapping[str, str]) -> bytes:
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                plain += struct.pack(">I", len(text)) + text
        return self._packer.compress(plain) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def _unpack(self, block: bytes) -> dict[str, str]:
        plain = self._unpacker.decompress(block, HEADERS_LIMIT)
        if self._unpacker.unconsumed_tail:
            raise ProtocolError(f"headers of more than {HEADERS_LIMIT} bytes")
        (count,) = struct.unpack_from(">I", plain)
        at = 4
        texts = []
        for _ in range(2 * count):
            (size,) = struct.unpack_from(">I", plain, at)
            texts.append(plain[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return dict(zip(texts[::2], texts[1::2], strict=True))
