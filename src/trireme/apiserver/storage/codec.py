"""Objects as etcd holds them: the JSON that is served, with an empty resourceVersion.

In: rendered values of ours. Out: bytes that upstream's API server reads too, as it reads JSON of
every kind. What upstream wrote (protobuf of built-in kinds, JSON of others) is read as the object
that it is, in the version that is stored here, with the defaults of fields that it does not have.
Why JSON: docs/decisions/etcd.md. Upstream: apiserver ``storage/etcd3/store.go`` (decode).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from trireme.apiserver.endpoint import Endpoint, with_revision
from trireme.apiserver.storage import definitions
from trireme.apiserver.storage.layout import Layout, kind
from trireme.machinery import gotext
from trireme.machinery.codec import cbor, json
from trireme.machinery.codec.protobuf import decode as protobuf
from trireme.machinery.codec.protobuf import table
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode
from trireme.store.contract import Unreadable, Value
from trireme.store.engine import render

# A value of ours up to the place of its revision.
_OURS = re.compile(
    rb'\{(?:"kind":"[^"\\]*","apiVersion":"[^"\\]*"|"apiVersion":"[^"\\]*","kind":"[^"\\]*")'
    rb',"metadata":\{(?:"(?:name|generateName|namespace|selfLink|uid)":"[^"\\]*",)*'
    rb'"resourceVersion":"(?=")'
)
_CBOR = b"\xd9\xd9\xf7"
_SLOT = b'"resourceVersion":"'


class _WithMetadata(msgspec.Struct):
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)


_decode_metadata = msgspec.json.Decoder(_WithMetadata).decode


class ObjectCodec:
    """``known``: the built-in kinds in all their versions; ``prefix``: of all keys in etcd."""

    def __init__(self, known: Iterable[Resource], prefix: str = "/registry") -> None:
        self._versions: dict[tuple[str, str], Resource] = {}
        self._stored: dict[str, Endpoint] = {}
        for resource in known:
            self._versions[resource.api_version, resource.kind] = resource
            if resource.stored_as is None:
                self._stored[resource.group_resource] = Endpoint(resource)
        self._layout = Layout(self._stored, prefix)

    def key(self, key: str) -> bytes:
        return self._layout.outside(key).encode()

    def name(self, raw: bytes) -> str | None:
        try:
            return self._layout.inside(raw.decode())
        except UnicodeDecodeError:
            return None

    def encode(self, key: str, value: Value) -> bytes:
        return value.head + value.tail

    def decode(self, key: str, raw: bytes, revision: int) -> bytes:
        match = _OURS.match(raw)
        if match is not None:
            at = match.end()
            return b"%b%d%b" % (raw[:at], revision, raw[at:])
        try:
            return render(self._foreign(key, raw), revision)
        except (ValueError, msgspec.MsgspecError, decode.DecodeError) as error:
            raise Unreadable(key, str(error)) from None

    def last(self, value: bytes, revision: int) -> bytes:
        return with_revision(value, revision) if _SLOT in value else value

    def _foreign(self, key: str, raw: bytes) -> Value:
        """What another API server wrote. ValueError, MsgspecError, DecodeError."""
        if raw.startswith(protobuf.MAGIC):
            plain: Any = protobuf.decode(raw, table.built_in())
        elif raw.startswith(_CBOR):
            plain = cbor.load(raw)
        else:
            plain = json.plain(raw)
        if not isinstance(plain, dict):
            raise ValueError("this is no object")
        endpoint = self._stored.get(kind(key))
        if endpoint is None:
            return _custom(raw if raw.startswith(b"{") else json.encode(plain), plain)
        if plain.get("apiVersion") == definitions.V1BETA1:
            plain = definitions.to_v1(plain)
        version, name = plain.get("apiVersion", ""), plain.get("kind", "")
        resource = self._versions.get((version, name))
        if resource is None:
            raise ValueError(f'no kind "{name}" is registered for version "{version}"')
        data = json.encode(plain)
        obj: Any
        obj, _ = decode.decode(data, resource.type, decode.IGNORE, unique=True)
        if resource.stored_as is not None:
            obj = resource.stored_as.to_stored(obj)
        endpoint.default(obj)
        return endpoint.encode(obj)


def _custom(data: bytes, plain: dict[str, Any]) -> Value:
    """An object of a custom kind as ``crd`` writes it: keys in order, its metadata in ours."""
    metadata = _decode_metadata(data).metadata
    metadata.resourceVersion = "\0"
    before = {key: value for key, value in plain.items() if key < "metadata"}
    after = {key: value for key, value in plain.items() if key > "metadata"}
    head, tail = json.encode(metadata).split(b"\\u0000", 1)
    first = gotext.in_go(json.encode(before))[:-1] + b"," if before else b"{"
    last = b"," + gotext.in_go(json.encode(after))[1:] if after else b"}"
    return Value(first + b'"metadata":' + head, tail + last)
