"""An OpenAPI v3 document as protobuf: gnostic's ``openapi.v3.Document``. Pure.

In: a document as a plain value. Out: its bytes; the numbers below are those of gnostic's fields.
Extensions and enumerated values are carried as YAML text, and JSON is YAML.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from trireme.machinery.codec.protobuf import wire

_METHODS = {"get": 4, "put": 5, "post": 6, "delete": 7, "options": 8, "head": 9, "patch": 10}
_REF = "#/components/schemas/"
_FLAGS = {
    "nullable": 1,
    "exclusiveMaximum": 12,
    "exclusiveMinimum": 14,
    "uniqueItems": 20,
}
_DOUBLES = {"multipleOf": 10, "maximum": 11, "minimum": 13}
_COUNTS = {
    "maxLength": 15,
    "minLength": 16,
    "maxItems": 18,
    "minItems": 19,
    "maxProperties": 21,
    "minProperties": 22,
}
_TEXTS = {"title": 9, "pattern": 17, "type": 25, "description": 34, "format": 35}
_MANY = {"allOf": 26, "oneOf": 27, "anyOf": 28}


def encode(document: dict[str, Any]) -> bytes:
    """The document's bytes."""
    info = document["info"]
    paths = b"".join(
        _named(1, path, _path(item)) for path, item in document.get("paths", {}).items()
    )
    components = document["components"]
    schemas = b"".join(
        _named(1, name, _schema(item)) for name, item in components["schemas"].items()
    )
    security = b"".join(
        _named(1, name, wire.message(1, _scheme(item)))
        for name, item in components.get("securitySchemes", {}).items()
    )
    return b"".join(
        (
            wire.text(1, document["openapi"]),
            wire.message(2, wire.text(1, info["title"]) + wire.text(6, info["version"])),
            wire.message(4, paths),
            wire.message(5, wire.message(1, schemas) + wire.message(7, security)),
        )
    )


def _named(number: int, name: str, value: bytes) -> bytes:
    return wire.message(number, wire.text(1, name) + wire.message(2, value))


def _path(item: dict[str, Any]) -> bytes:
    parts = []
    for key, value in item.items():
        if key == "parameters":
            parts += [wire.message(13, _parameter(each)) for each in value]
        else:
            parts.append(wire.message(_METHODS[key], _operation(value)))
    return b"".join(parts)


def _operation(operation: dict[str, Any]) -> bytes:
    parts = [wire.text(1, tag) for tag in operation["tags"]]
    parts.append(wire.text(3, operation.get("description", "")))
    parts.append(wire.text(5, operation["operationId"]))
    parts += [wire.message(6, _parameter(each)) for each in operation.get("parameters", ())]
    body = operation.get("requestBody")
    if body is not None:
        content = wire.message(2, _content(body["content"])) + wire.flag(
            3, body.get("required", False)
        )
        parts.append(wire.message(7, wire.message(1, content)))
    answers = b""
    for code, answer in operation["responses"].items():
        message = wire.text(1, answer["description"])
        if answer.get("content"):
            message += wire.message(3, _content(answer["content"]))
        answers += _named(2, code, wire.message(1, message))
    parts.append(wire.message(8, answers))
    parts.append(wire.flag(10, operation.get("deprecated", False)))
    parts.append(_extensions(13, operation))
    return b"".join(parts)


def _content(content: dict[str, Any]) -> bytes:
    return b"".join(
        _named(1, media, wire.message(1, _schema(item["schema"])))
        for media, item in content.items()
    )


def _parameter(parameter: dict[str, Any]) -> bytes:
    return wire.message(
        1,
        wire.text(1, parameter["name"])
        + wire.text(2, parameter["in"])
        + wire.text(3, parameter.get("description", ""))
        + wire.flag(4, parameter.get("required", False))
        + wire.message(10, _schema(parameter["schema"])),
    )


def _schema(schema: dict[str, Any]) -> bytes:
    """A schema, or a reference to one."""
    if "$ref" in schema:
        return wire.message(2, wire.text(1, schema["$ref"]))
    parts = [_keyword(key, value) for key, value in schema.items()]
    return wire.message(1, b"".join(parts) + _extensions(36, schema))


def _keyword(key: str, value: Any) -> bytes:
    if key in _TEXTS:
        return wire.text(_TEXTS[key], value)
    if key in _FLAGS:
        return wire.flag(_FLAGS[key], value)
    if key in _MANY:
        return b"".join(wire.message(_MANY[key], _schema(each)) for each in value)
    if key in _DOUBLES:
        return wire.double(_DOUBLES[key], value)
    if key in _COUNTS:
        return wire.number(_COUNTS[key], value)
    return _structural(key, value)


def _structural(key: str, value: Any) -> bytes:
    match key:
        case "required":
            return b"".join(wire.text(23, name) for name in value)
        case "enum":
            return b"".join(wire.message(24, _any(each)) for each in value)
        case "not":
            # A bare Schema here: without the choice of a reference around it.
            _, content = _unwrapped(_schema(value))
            return wire.message(29, content)
        case "items":
            return wire.message(30, wire.message(1, _schema(value)))
        case "properties":
            named = b"".join(_named(1, name, _schema(item)) for name, item in value.items())
            return wire.message(31, named)
        case "additionalProperties":
            boolean = isinstance(value, bool)
            message = wire.flag(2, value) if boolean else wire.message(1, _schema(value))
            return wire.message(32, message)
        case "default":
            return _default(value)
    return b""


def _default(value: Any) -> bytes:
    if isinstance(value, bool):
        return wire.message(33, b"\x10" + (b"\x01" if value else b"\x00"))
    if isinstance(value, int | float):
        return wire.message(33, b"\x09" + struct.pack("<d", value))
    if isinstance(value, str):
        return wire.message(33, wire.message(3, value.encode()))
    # gnostic has no other defaults.
    return b""


def _unwrapped(field: bytes) -> tuple[int, bytes]:
    """The number and content of the one field that some bytes are."""
    at, size, shift = 1, 0, 0
    while True:
        byte = field[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return field[0] >> 3, field[at : at + size]


def _scheme(scheme: dict[str, Any]) -> bytes:
    return (
        wire.text(1, scheme["type"])
        + wire.text(2, scheme.get("description", ""))
        + wire.text(3, scheme["name"])
        + wire.text(4, scheme["in"])
    )


def _any(value: Any) -> bytes:
    return wire.text(2, msgspec.json.encode(value).decode() + "\n")


def _extensions(number: int, owner: dict[str, Any]) -> bytes:
    return b"".join(
        _named(number, name, _any(value)) for name, value in owner.items() if name[:2] == "x-"
    )
