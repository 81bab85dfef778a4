"""JSON out: the bytes that are stored, sent and watched.

In: a struct or plain values. Out: compact JSON, map keys sorted as Go does, struct fields in the
order of their type. Called once per write (design: encode once).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")

encode = _ENCODER.encode
_decode: Final = msgspec.json.Decoder().decode
# A digit is a zero here, and all else a space: integers of more than 64 bits have 19 digits.
_DIGITS: Final = bytes(48 if 48 <= code <= 57 else 32 for code in range(256))
_LONG: Final = b"0" * 19


def plain(data: bytes) -> Any:
    """JSON as plain values, as Go reads it: an integer of more than 64 bits is a float."""
    value = _decode(data)
    return _in_64_bits(value) if _LONG in data.translate(_DIGITS) else value


def _in_64_bits(value: Any) -> Any:
    if type(value) is dict:
        return {key: _in_64_bits(item) for key, item in value.items()}
    if type(value) is list:
        return [_in_64_bits(item) for item in value]
    return float(value) if type(value) is int and not -(2**63) <= value < 2**63 else value


def pretty(data: bytes) -> bytes:
    """``data`` indented for people (``?pretty=true``)."""
    return msgspec.json.format(data, indent=2)


def to_plain(obj: Any) -> Any:
    """A struct as plain values: what patches and JSONPath work on."""
    return _decode(encode(obj))
