"""Protobuf bodies to plain JSON values: what ``kubectl create`` and client-go send by default.

In: the bytes of a request. Out: a dict as the JSON form would give it, with kind and apiVersion.
Errors are ``ValueError`` with a text for a 400. The message table is ``messages.txt``; names with
an @ have a form of their own in JSON; ``^`` is a message whose fields stand in its parent's object.
Rules: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from trireme.machinery import time
from trireme.machinery.codec.protobuf.table import Field, Messages

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEPTH = 100
_SCHEMA = "apiextensions.v1.JSONSchemaProps"


def decode(data: bytes, messages: Messages, expected: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """The object in a protobuf body. ``expected``: the apiVersion and kind of a body without."""
    if not data:
        raise ValueError("empty data")
    if not data.startswith(MAGIC):
        raise ValueError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    if len(data) == len(MAGIC):
        raise ValueError("empty body")
    kind = api_version = ""
    raw = b""
    for number, value in _fields(data[len(MAGIC) :]):
        if number == 1:
            identity = {n: _text(v) for n, v in _fields(_chunk(value))}
            api_version, kind = identity.get(1, ""), identity.get(2, "")
        elif number == 2:
            raw = _chunk(value)
    api_version, kind = api_version or expected[0], kind or expected[1]
    name = messages.of_kind(api_version, kind)
    if name is None:
        raise ValueError(f"no protobuf form is known of {api_version or '?'}, Kind={kind or '?'}")
    decoded = _message(raw, name, messages, 0)
    return {"kind": kind, "apiVersion": api_version, **decoded}


def _message(data: bytes, name: str, messages: Messages, depth: int) -> dict[str, Any]:
    if depth > _DEPTH:
        raise ValueError("the message is nested too deeply")
    fields = messages.fields(name)
    result: dict[str, Any] = {}
    for number, value in _fields(data):
        field = fields.get(number)
        if field is None:
            # A field of a newer version: Go's decoder skips it too.
            continue
        if field.inline:
            result |= _message(_chunk(value), field.type, messages, depth + 1)
        elif field.mapped:
            key, item = _entry(_chunk(value), field, messages, depth)
            result.setdefault(field.name, {})[key] = item
        elif field.repeated:
            into = result.setdefault(field.name, [])
            if field.type in _NUMBERS and isinstance(value, bytes):
                into += [_NUMBERS[field.type](item) for item in _packed(value, field.type)]
            else:
                into.append(_value(value, field, messages, depth))
        else:
            result[field.name] = _value(value, field, messages, depth)
    return result


def _value(value: int | bytes, field: Field, messages: Messages, depth: int) -> Any:
    read = _SCALARS.get(field.type)
    if read is not None:
        return read(value)
    special = _SPECIAL.get(field.type)
    if special is not None:
        return special(_chunk(value))
    if field.type.startswith("@Schema"):
        return _schema(_chunk(value), field.type, messages, depth + 1)
    return _message(_chunk(value), field.type, messages, depth + 1)


def _schema(data: bytes, type_: str, messages: Messages, depth: int) -> Any:
    """A schema, or what may stand in its place: a list of schemas or of keys, a truth value."""
    result: Any = False if type_ == "@SchemaOrBool" else None
    schema_number = 2 if type_ == "@SchemaOrBool" else 1
    found_schema = False
    for number, value in _fields(data):
        if number == schema_number:
            result, found_schema = _message(_chunk(value), _SCHEMA, messages, depth), True
        elif found_schema:
            continue
        elif type_ == "@SchemaOrBool":
            result = _bool(value)
        else:
            result = result or []
            one = _chunk(value)
            texts = type_ == "@SchemaOrStrings"
            result.append(_text(one) if texts else _message(one, _SCHEMA, messages, depth))
    return result


def _entry(data: bytes, field: Field, messages: Messages, depth: int) -> tuple[str, Any]:
    key = ""
    item: Any = "" if field.type == "string" else None
    for number, value in _fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            item = _value(value, field, messages, depth)
    if item is None:
        item = _value(b"", field, messages, depth)
    return key, item


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number, and a varint as int or anything else as its bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("proto: illegal tag 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"proto: illegal wireType {wire}")
        if at + size > end:
            raise ValueError("unexpected EOF")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("unexpected EOF")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise ValueError("proto: integer overflow")


def _packed(data: bytes, type_: str) -> Iterator[int | bytes]:
    if type_ == "double":
        yield from (data[at : at + 8] for at in range(0, len(data), 8))
        return
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _chunk(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("proto: wrong wireType = 0")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _chunk(value).decode()
    except UnicodeDecodeError:
        raise ValueError("proto: invalid UTF-8 in a string") from None


def _signed(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("proto: wrong wireType = 2")
    return value - (1 << 64) if value >= 1 << 63 else value


def _bool(value: int | bytes) -> bool:
    return bool(_signed(value))


def _double(value: int | bytes) -> float:
    data = _chunk(value)
    if len(data) != 8:
        raise ValueError("proto: wrong size of a double")
    number: float = struct.unpack("<d", data)[0]
    return number


def _base64(value: int | bytes) -> str:
    return base64.b64encode(_chunk(value)).decode()


def _moment(data: bytes) -> tuple[int, int] | None:
    found = dict(_fields(data))
    if not found:
        return None
    return _signed(found.get(1, 0)), _signed(found.get(2, 0))


def _time(data: bytes) -> str | None:
    moment = _moment(data)
    return None if moment is None else time.format(moment[0])


def _micro_time(data: bytes) -> str | None:
    moment = _moment(data)
    if moment is None:
        return None
    return f"{time.format(moment[0])[:-1]}.{moment[1] // 1000:06d}Z"


def _duration(data: bytes) -> str:
    nanoseconds = _signed(dict(_fields(data)).get(1, 0))
    return time.format_duration(nanoseconds / 1e9)


def _quantity(data: bytes) -> str:
    return _text(dict(_fields(data)).get(1, b"")) or "0"


def _int_or_string(data: bytes) -> int | str:
    found = dict(_fields(data))
    if _signed(found.get(1, 0)) == 1:
        return _text(found.get(3, b""))
    return _signed(found.get(2, 0))


def _json(data: bytes) -> Any:
    raw = _chunk(dict(_fields(data)).get(1, b""))
    try:
        return msgspec.json.decode(raw) if raw else None
    except msgspec.DecodeError as problem:
        raise ValueError(f"embedded JSON: {problem}") from None


def _items(data: bytes) -> list[str]:
    return [_text(value) for number, value in _fields(data) if number == 1]


_NUMBERS: dict[str, Callable[[int | bytes], Any]] = {
    "int32": _signed,
    "int64": _signed,
    "bool": _bool,
    "double": _double,
}
_SCALARS: dict[str, Callable[[int | bytes], Any]] = {
    **_NUMBERS,
    "string": _text,
    "bytes": _base64,
}
_SPECIAL: dict[str, Callable[[bytes], Any]] = {
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
