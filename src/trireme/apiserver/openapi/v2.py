"""The whole API as one OpenAPI v2 (Swagger) document: from the v3 operations and schemas. Pure.

In: what ``paths`` and ``schemas`` make. Out: the document as a plain value, and as the protobuf
message that kubectl and older clients ask for (gnostic's ``openapi.v2.Document``; the numbers below
are its fields). Extensions are carried as YAML text, and JSON is YAML.
"""

from __future__ import annotations

from typing import Any

import msgspec

_REF = "#/components/schemas/"
_OLD_REF = "#/definitions/"
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


def document(
    operations: dict[str, Any], definitions: dict[str, Any], version: str
) -> dict[str, Any]:
    """The document as a plain value."""
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": {path: _path(item) for path, item in operations.items()},
        "definitions": {name: _schema(item) for name, item in definitions.items()},
    }


def _path(item: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for key, value in item.items():
        if key == "parameters":
            shown[key] = [_parameter(each) for each in value]
        else:
            shown[key] = _operation(value)
    return shown


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in operation.items() if key.startswith("x-")}
    shown["tags"] = operation["tags"]
    parameters = [_parameter(each) for each in operation["parameters"]]
    body = operation.get("requestBody")
    if body is not None:
        media = body["content"]
        schema = next(iter(media.values()))["schema"]
        parameters.append(
            {
                "name": "body",
                "in": "body",
                "required": body["required"],
                "schema": _schema(schema),
            }
        )
        shown["consumes"] = list(media)
    shown["parameters"] = parameters
    responses: dict[str, Any] = {}
    for code, answer in operation["responses"].items():
        responses[code] = {"description": answer["description"]}
        content = answer.get("content")
        if content:
            shown["produces"] = list(content)
            responses[code]["schema"] = _schema(next(iter(content.values()))["schema"])
    shown["responses"] = responses
    return shown


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in parameter.items() if key != "schema"}
    return shown | parameter["schema"]


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A v3 schema in v2's words: no alternatives, references elsewhere."""
    shown: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$ref":
            shown[key] = _OLD_REF + value.removeprefix(_REF)
        elif key == "allOf":
            # v2 lets a description stand beside a reference.
            shown |= _schema(value[0])
        elif key == "oneOf":
            shown["type"] = "string"
        elif key == "properties":
            shown[key] = {name: _schema(item) for name, item in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            shown[key] = _schema(value)
        else:
            shown[key] = value
    return shown


# The protobuf form.


def encode(document: dict[str, Any]) -> bytes:
    """The document as gnostic's ``openapi.v2.Document``."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(
        _message(2, _text(1, path) + _message(2, _encode_path(item)))
        for path, item in document["paths"].items()
    )
    definitions = b"".join(
        _message(1, _named_schema(name, item)) for name, item in document["definitions"].items()
    )
    return (
        _text(1, document["swagger"])
        + _message(2, info)
        + _message(8, paths)
        + _message(9, definitions)
    )


def _encode_path(item: dict[str, Any]) -> bytes:
    data = b""
    for key, value in item.items():
        if key == "parameters":
            data += b"".join(_message(9, _encode_parameter(each)) for each in value)
        else:
            data += _message(_METHODS[key], _encode_operation(value))
    return data


def _encode_operation(operation: dict[str, Any]) -> bytes:
    data = b"".join(_text(1, tag) for tag in operation["tags"])
    data += b"".join(_text(6, media) for media in operation.get("produces", ()))
    data += b"".join(_text(7, media) for media in operation.get("consumes", ()))
    data += b"".join(_message(8, _encode_parameter(each)) for each in operation["parameters"])
    answers = b""
    for code, answer in operation["responses"].items():
        content = _text(1, answer["description"])
        if "schema" in answer:
            content += _message(2, _message(1, _encode_schema(answer["schema"])))
        answers += _message(1, _text(1, code) + _message(2, _message(1, content)))
    data += _message(9, answers)
    return data + _extensions(13, operation)


def _encode_parameter(parameter: dict[str, Any]) -> bytes:
    required = _flag(1, parameter.get("required", False))
    if parameter["in"] == "body":
        body = _text(2, parameter["name"]) + _text(3, "body")
        body += _flag(4, parameter.get("required", False))
        body += _message(5, _encode_schema(parameter["schema"]))
        return _message(1, _message(1, body))
    if parameter["in"] == "path":
        data = required + _text(2, "path") + _text(4, parameter["name"])
        data += _text(5, parameter["type"]) + _flag(13, True)
        return _message(1, _message(2, _message(4, data)))
    data = required + _text(2, "query") + _text(4, parameter["name"])
    data += _text(6, parameter["type"]) + _flag(20, True)
    return _message(1, _message(2, _message(3, data)))


def _named_schema(name: str, schema: dict[str, Any]) -> bytes:
    return _text(1, name) + _message(2, _encode_schema(schema))


def _encode_schema(schema: dict[str, Any]) -> bytes:
    data = _text(1, schema.get("$ref", ""))
    data += _text(2, schema.get("format", "")) + _text(4, schema.get("description", ""))
    data += b"".join(_text(19, name) for name in schema.get("required", ()))
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        data += _message(21, _message(1, _encode_schema(more)))
    elif more is not None:
        data += _message(21, _flag(2, more))
    if "type" in schema:
        data += _message(22, _text(1, schema["type"]))
    if "items" in schema:
        data += _message(23, _message(1, _encode_schema(schema["items"])))
    if "properties" in schema:
        properties = b"".join(
            _message(1, _named_schema(name, item)) for name, item in schema["properties"].items()
        )
        data += _message(25, properties)
    return data + _extensions(31, schema)


def _extensions(number: int, owner: dict[str, Any]) -> bytes:
    data = b""
    for name, value in owner.items():
        if name.startswith("x-"):
            yaml = msgspec.json.encode(value).decode() + "\n"
            data += _message(number, _text(1, name) + _message(2, _text(2, yaml)))
    return data


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode()) if text else b""


def _flag(number: int, value: bool) -> bytes:
    return _varint(number << 3) + b"\x01" if value else b""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
