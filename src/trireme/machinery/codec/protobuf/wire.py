"""Fields of protobuf messages, for the few that are written without generated code.

In: the number of a field and what it holds. Out: its bytes; a message is the bytes of its fields,
joined. Called by the API server (OpenAPI v2) and by the kubelet's gRPC probe. Rules:
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import struct


def message(number: int, content: bytes) -> bytes:
    """A field that holds a message or bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def text(number: int, content: str) -> bytes:
    """A field that holds text; nothing for the empty one."""
    return message(number, content.encode()) if content else b""


def flag(number: int, value: bool) -> bytes:
    """A field that holds a truth value; nothing for a false one."""
    return _varint(number << 3) + b"\x01" if value else b""


def number(field: int, value: int) -> bytes:
    """A field that holds a count."""
    return _varint(field << 3) + _varint(value)


def double(field: int, value: float) -> bytes:
    """A field that holds a number with a point."""
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
