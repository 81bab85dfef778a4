"""Values as bodies in each media type, and bodies that were damaged on their way."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import yaml

from trireme.machinery.codec import builtin, cbor
from trireme.machinery.codec.protobuf import encode

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CBOR = "application/cbor"
_CUTS = (b"", b"\x00", b"\xff", b"\xc3\x28", b"{", b"}", b'"', b"[" * 200, b",", b":", b"9" * 400,
         b"1e400", b"-0", b"NaN", b"\\u0000", b"\\ud800", b"&a ", b"*a", b"<<: ", b"!!python/x ",
         b"\n---\n", b"\r\n", b"\x80" * 12, b"k8s\x00", b"\xd9\xd9\xf7", b"\x9f" * 50)  # fmt: skip


def body(rng: Random, value: Any, media: str) -> bytes:
    """A value in a media type; in JSON when it cannot be written in that one."""
    try:
        if media == YAML:
            return yaml.dump(value, Dumper=yaml.CSafeDumper).encode("utf-8", "surrogatepass")
        if media == CBOR:
            return cbor.dump(value)
        if media == PROTOBUF and isinstance(value, dict):
            return _protobuf(value)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, ArithmeticError):
        # A damaged value has no form in a typed codec.
        pass
    return json.dumps(value, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")


def _protobuf(value: dict[str, Any]) -> bytes:
    version, kind = value["apiVersion"], value["kind"]
    name = builtin.messages().of_kind(version, kind)
    if name is None:
        raise LookupError(kind)
    message = builtin.encoder().from_json(name, json.dumps(value).encode())
    return encode.enclosed(encode.envelope(version, kind), message)


def damaged(rng: Random, data: bytes) -> bytes:
    """Cut short, bits turned, pieces doubled, put in, or taken out."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        change = rng.randrange(6)
        if change == 0:
            del out[at:]
        elif change == 1 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif change == 2:
            out[at:at] = rng.choice(_CUTS)
        elif change == 3:
            end = min(len(out), at + rng.randrange(1, 60))
            out[at:at] = out[at:end]
        elif change == 4:
            del out[at : at + rng.randrange(1, 30)]
        elif at < len(out):
            out[at] = rng.randrange(256)
    return bytes(out)
