"""CBOR in and out, for clients configured to use it (feature gate CBORServingAndStorage).

In: plain JSON values, or a body. Out: the same on the other side. Texts are byte strings, which
need no check for UTF-8, as upstream writes them; readers take both. Rules: KEP-4222; RFC 8949.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import cbor2

# The self-described CBOR tag.
MAGIC: Final = b"\xd9\xd9\xf7"
_BASE64_LATER: Final = 22


def dump(value: Any) -> bytes:
    """Plain values as one tagged item, keys in deterministic order."""
    return MAGIC + cbor2.dumps(_packed(value), canonical=True)


def load(data: bytes) -> Any:
    """Plain values of one item. ValueError with a text for a 400."""
    try:
        return _plain(cbor2.loads(data))
    except (cbor2.CBORDecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise ValueError(f"cbor: {problem}") from None


def _packed(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return {key.encode(): _packed(item) for key, item in value.items()}
    return [_packed(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, cbor2.CBORTag):
        if value.tag == _BASE64_LATER and isinstance(value.value, bytes):
            return base64.b64encode(value.value).decode()
        raise ValueError(f"cbor: tag {value.tag} is not supported")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("cbor: a number has more than 64 bits")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"cbor: a value of type {type(value).__name__} is not supported")


def _key(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode()
    if isinstance(key, str):
        return key
    raise ValueError("cbor: a key is no string")
