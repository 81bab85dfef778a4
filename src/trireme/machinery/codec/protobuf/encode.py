"""JSON to protobuf: the form that client-go's controllers, schedulers and kubelets ask for.

In: an object's JSON bytes and the name of its message. Out: the bytes of the message, the envelope
around it, the frame of a watch event. Called by ``apiserver/reply``, once for each stored revision.
A message's encoder is compiled at its first use: JSON key → function of the value. What JSON leaves
out stays out, so a pointer to zero and no pointer differ as they do in Go.
Rules: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable
from functools import lru_cache
from types import GenericAlias
from typing import Any, TypedDict

import msgspec

from trireme.machinery import time
from trireme.machinery.codec.protobuf.table import Field, Messages

MAGIC = b"k8s\x00"
# What ends an envelope: an empty contentEncoding and contentType.
TAIL = b'\x1a\x00"\x00'
_OBJECT_META = "meta.v1.ObjectMeta"
# The canonical form of a time with microseconds.
_MICRO = len("2006-01-02T15:04:05.000000Z")
_SCHEMA = "apiextensions.v1.JSONSchemaProps"

Encode = Callable[[Any], bytes]


def varint(number: int) -> bytes:
    """A number of 64 bits; negative ones as their two's complement."""
    if 0 <= number < 128:
        return _SMALL[number]
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = tuple(bytes((number,)) for number in range(128))
_SIZES = tuple(varint(size) for size in range(4096))


def sized(data: bytes) -> bytes:
    """Bytes behind their length."""
    size = len(data)
    return (_SIZES[size] if size < 4096 else varint(size)) + data


class Encoder:
    """Encodes the messages of one table."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._compiled: dict[str, Encode] = {}
        self._tables: dict[str, _Table] = {}
        self._decoders: dict[str, Callable[[bytes], Any]] = {}

    def from_json(self, name: str, value: bytes) -> bytes:
        """The message ``name`` of an object's JSON. Keys that the message lacks are left out."""
        decode = self._decoders.get(name)
        if decode is None:
            decode = self._decoders[name] = _decoder(self._messages, name)
        return self.message(name)(decode(value))

    def message(self, name: str) -> Encode:
        """The function from a message's plain JSON value to its bytes."""
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = _message(self._table(name))
        return found

    def _table(self, name: str) -> _Table:
        """How the JSON keys of a message are written."""
        table = self._tables.get(name)
        if table is None:
            # Known before its fields are compiled: a message may contain itself.
            table = self._tables[name] = _Table()
            for number, field in self._messages.fields(name).items():
                if field.inline:
                    tag = _tag(number, 2)
                    table.parts[tag] = self.message(field.type)
                    table.inlined.update(dict.fromkeys(self._keys(field.type), tag))
                else:
                    table.fields[field.name] = self._field(number, field)
        return table

    def _keys(self, name: str) -> list[str]:
        """The JSON keys of a message, with those of the messages inlined in it."""
        keys: list[str] = []
        for field in self._messages.fields(name).values():
            keys += self._keys(field.type) if field.inline else [field.name]
        return keys

    def _field(self, number: int, field: Field) -> Encode:
        if field.mapped:
            return _map(_tag(number, 2), self._value(2, field.type))
        one = self._value(number, field.type)
        return _list(one) if field.repeated else one

    def _value(self, number: int, type_: str) -> Encode:
        """The function from a value to its field: tag and content."""
        wire = _WIRE.get(type_, 2)
        tag = _tag(number, wire)
        if type_ == "string":
            return _text(tag)
        if type_ in ("int32", "int64"):
            return lambda value: tag + varint(value)
        if type_ == "bool":
            yes, no = tag + b"\x01", tag + b"\x00"
            return lambda value: yes if value else no
        if type_ == "double":
            return lambda value: tag + struct.pack("<d", value)
        content = _SPECIAL.get(type_) or self._schema_form(type_)
        if content is None:
            return _message(self._table(type_), tag)
        return lambda value: tag + sized(content(value))

    def _schema_form(self, type_: str) -> Encode | None:
        """The forms in which a schema may be something else as well: a list, a truth value."""
        if not type_.startswith("@Schema"):
            return None
        schema = self._value(1, _SCHEMA)
        if type_ == "@SchemaOrArray":
            many = _list(self._value(2, _SCHEMA))
            return lambda value: many(value) if isinstance(value, list) else schema(value)
        if type_ == "@SchemaOrStrings":
            texts = _list(_text(_tag(2, 2)))
            return lambda value: texts(value) if isinstance(value, list) else schema(value)
        return lambda value: (
            b"\x08%c" % value if isinstance(value, bool) else b"\x08\x01" + _retagged(schema(value))
        )


def envelope(api_version: str, kind: str) -> bytes:
    """What stands before the length and the bytes of a message; ``enclosed`` puts it there."""
    identity = b"\x0a" + sized(api_version.encode()) + b"\x12" + sized(kind.encode())
    return MAGIC + b"\x0a" + sized(identity) + b"\x12"


def enclosed(head: bytes, message: bytes) -> bytes:
    """A message in its envelope: a whole body."""
    return b"".join((head, varint(len(message)), message, TAIL))


def frame(type_: str, body: bytes) -> bytes:
    """A watch event in a stream: four bytes of length, then the event with a whole body in it."""
    inner = varint(len(body))
    head = b"\x0a" + sized(type_.encode()) + b"\x12" + varint(len(body) + len(inner) + 1) + b"\x0a"
    return b"".join((struct.pack(">I", len(head) + len(inner) + len(body)), head, inner, body))


class _Table:
    """A message: JSON key → function of the value; and the keys of messages inlined in it."""

    __slots__ = ("fields", "inlined", "parts")

    def __init__(self) -> None:
        self.fields: dict[str, Encode] = {}
        # JSON key → the tag of the inlined message that has it; tag → how that is written.
        self.inlined: dict[str, bytes] = {}
        self.parts: dict[bytes, Encode] = {}


def _message(table: _Table, tag: bytes = b"") -> Encode:
    """The function from a message's value to its bytes; as a field where there is a tag."""
    get, inlined, parts = table.fields.get, table.inlined, table.parts
    join = b"".join

    def encode(value: dict[str, Any]) -> bytes:
        out = []
        inner: dict[bytes, dict[str, Any]] | None = None
        for key, item in value.items():
            if item is None:
                continue
            field = get(key)
            if field is not None:
                out.append(field(item))
            elif key in inlined:
                if inner is None:
                    inner = {}
                inner.setdefault(inlined[key], {})[key] = item
        if inner is not None:
            out += [part + sized(parts[part](items)) for part, items in inner.items()]
        data = join(out)
        if not tag:
            return data
        size = len(data)
        return join((tag, _SIZES[size] if size < 4096 else varint(size), data))

    return encode


def _text(tag: bytes) -> Encode:
    # Most texts recur: images, reasons, names of resources.
    @lru_cache(maxsize=64)
    def encode(value: str) -> bytes:
        data = value.encode()
        size = len(data)
        return tag + _SIZES[size] + data if size < 4096 else tag + varint(size) + data

    return encode


def _list(one: Encode) -> Encode:
    return lambda value: b"".join([one(item) for item in value])


def _map(tag: bytes, one: Encode) -> Encode:
    key = _text(b"\x0a")
    # Keys in order, as upstream writes them.
    return lambda value: b"".join(
        [
            tag + sized(key(name) + one(item) if item is not None else key(name))
            for name, item in sorted(value.items())
        ]
    )


def _tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def _retagged(field: bytes) -> bytes:
    """The first field of a message as its second one."""
    return b"\x12" + field[1:]


@lru_cache(maxsize=4096)
def _time(text: str) -> bytes:
    seconds = int(time.parse(text))
    return b"\x08" + varint(seconds) + b"\x10\x00"


def _micro_time(text: str) -> bytes:
    if len(text) == _MICRO:
        # Whole and part by themselves: a float has not enough digits for both.
        seconds, micros = int(time.parse(text[:19] + "Z")), int(text[20:26])
    else:
        seconds, micros = divmod(round(time.parse_micro(text) * 1_000_000), 1_000_000)
    return b"\x08" + varint(seconds) + b"\x10" + varint(micros * 1000)


def _duration(text: str) -> bytes:
    return b"\x08" + varint(round(time.parse_duration(text) * 1_000_000_000))


@lru_cache(maxsize=4096)
def _quantity(value: str | int | float) -> bytes:
    return b"\x0a" + sized(str(value).encode())


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00\x1a" + sized(value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def _json(value: Any) -> bytes:
    data = bytes(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)
    return b"" if data == b"null" else b"\x0a" + sized(data)


_items = _list(_text(b"\x0a"))

_WIRE = {"int32": 0, "int64": 0, "bool": 0, "double": 1}
_SPECIAL: dict[str, Encode] = {
    "bytes": b64decode,
    "@Time": _time,
    "@MicroTime": _micro_time,
    "@Duration": _duration,
    "@Quantity": _quantity,
    "@IntOrString": _int_or_string,
    "@RawExtension": _json,
    "@JSON": _json,
    "@FieldsV1": _json,
    "@Items": _items,
}


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    # mypy cannot follow one that is made at run time.
    return TypedDict(name, fields, total=False)  # type: ignore[operator]


def _decoder(messages: Messages, name: str) -> Callable[[bytes], Any]:
    """JSON to plain values; managedFields are not decoded: they are long."""
    fields = {field.name: field for field in messages.fields(name).values()}
    if fields.get("metadata") is None or fields["metadata"].type != _OBJECT_META:
        return msgspec.json.decode
    entry = {field.name: Any for field in messages.fields("meta.v1.ManagedFieldsEntry").values()}
    owned = _typed_dict("owned", {**entry, "fieldsV1": msgspec.Raw})
    meta = {field.name: Any for field in messages.fields(_OBJECT_META).values()}
    metadata = _typed_dict("metadata", {**meta, "managedFields": GenericAlias(list, owned) | None})
    whole: dict[str, Any] = dict.fromkeys(_flat(messages, name), Any)
    kind = _typed_dict("kind", {**whole, "metadata": metadata})
    return msgspec.json.Decoder(kind).decode


def _flat(messages: Messages, name: str) -> list[str]:
    keys: list[str] = []
    for field in messages.fields(name).values():
        keys += _flat(messages, field.type) if field.inline else [field.name]
    return keys
