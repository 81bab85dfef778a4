"""JSON out: the bytes that are stored, sent and watched.

In: a struct or plain values. Out: compact JSON, map keys sorted as Go does, struct fields in the
order of their type. Called once per write (design: encode once).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")

encode = _ENCODER.encode


def pretty(data: bytes) -> bytes:
    """``data`` indented for people (``?pretty=true``)."""
    return msgspec.json.format(data, indent=2)


def to_plain(obj: Any) -> Any:
    """A struct as plain values: what patches and JSONPath work on."""
    return msgspec.json.decode(encode(obj))
