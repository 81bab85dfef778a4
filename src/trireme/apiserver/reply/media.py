"""JSON bodies in the other media types: YAML, protobuf, CBOR. Pure.

Called for what is not kept in another form: metadata, Status, reviews, tables. Stored objects have
a shorter way to protobuf (``Endpoint.protobuf``).
"""

from __future__ import annotations

import msgspec

from trireme.machinery import errors
from trireme.machinery.codec import builtin, cbor, json, yaml
from trireme.machinery.codec.protobuf import encode
from trireme.machinery.meta import ListMeta

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CBOR = "application/cbor"


class _Identity(msgspec.Struct):
    kind: str = ""
    apiVersion: str = ""


_identity = msgspec.json.Decoder(_Identity).decode


def from_json(body: bytes, media: str) -> bytes:
    """A JSON body in another media type."""
    if media == YAML:
        return yaml.dump(msgspec.json.decode(body)).encode()
    if media == PROTOBUF:
        return to_protobuf(body)
    if media == CBOR:
        return cbor.dump(msgspec.json.decode(body))
    return body


def to_protobuf(body: bytes) -> bytes:
    """A JSON object in the protobuf envelope; 406 for a kind without a message."""
    found = _identity(body)
    name = builtin.messages().of_kind(found.apiVersion, found.kind)
    if name is None:
        raise errors.not_acceptable(("application/json", "application/yaml"))
    head = encode.envelope(found.apiVersion, found.kind)
    return encode.enclosed(head, builtin.encoder().from_json(name, body))


def list_meta(meta: ListMeta) -> bytes:
    """A list's metadata as the first field of its message."""
    data = builtin.encoder().message("meta.v1.ListMeta")(json.to_plain(meta))
    return b"\x0a" + encode.sized(data)
