"""The whole API as one OpenAPI v2 (Swagger) document: from the v3 operations and schemas. Pure.

In: what ``paths`` and ``schemas`` make. Out: the document as a plain value, and as the protobuf
message that kubectl and older clients ask for (gnostic's ``openapi.v2.Document``; the numbers below
are its fields). Extensions are carried as YAML text, and JSON is YAML.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.machinery.codec.protobuf import wire

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
    info = wire.text(1, document["info"]["title"]) + wire.text(2, document["info"]["version"])
    paths = b"".join(
        wire.message(2, wire.text(1, path) + wire.message(2, _encode_path(item)))
        for path, item in document["paths"].items()
    )
    definitions = b"".join(
        wire.message(1, _named_schema(name, item)) for name, item in document["definitions"].items()
    )
    return (
        wire.text(1, document["swagger"])
        + wire.message(2, info)
        + wire.message(8, paths)
        + wire.message(9, definitions)
    )


def _encode_path(item: dict[str, Any]) -> bytes:
    data = b""
    for key, value in item.items():
        if key == "parameters":
            data += b"".join(wire.message(9, _encode_parameter(each)) for each in value)
        else:
            data += wire.message(_METHODS[key], _encode_operation(value))
    return data


def _encode_operation(operation: dict[str, Any]) -> bytes:
    data = b"".join(wire.text(1, tag) for tag in operation["tags"])
    data += b"".join(wire.text(6, media) for media in operation.get("produces", ()))
    data += b"".join(wire.text(7, media) for media in operation.get("consumes", ()))
    data += b"".join(wire.message(8, _encode_parameter(each)) for each in operation["parameters"])
    answers = b""
    for code, answer in operation["responses"].items():
        content = wire.text(1, answer["description"])
        if "schema" in answer:
            content += wire.message(2, wire.message(1, _encode_schema(answer["schema"])))
        answers += wire.message(1, wire.text(1, code) + wire.message(2, wire.message(1, content)))
    data += wire.message(9, answers)
    return data + _extensions(13, operation)


def _encode_parameter(parameter: dict[str, Any]) -> bytes:
    required = wire.flag(1, parameter.get("required", False))
    if parameter["in"] == "body":
        body = wire.text(2, parameter["name"]) + wire.text(3, "body")
        body += wire.flag(4, parameter.get("required", False))
        body += wire.message(5, _encode_schema(parameter["schema"]))
        return wire.message(1, wire.message(1, body))
    if parameter["in"] == "path":
        data = required + wire.text(2, "path") + wire.text(4, parameter["name"])
        data += wire.text(5, parameter["type"]) + wire.flag(13, True)
        return wire.message(1, wire.message(2, wire.message(4, data)))
    data = required + wire.text(2, "query") + wire.text(4, parameter["name"])
    data += wire.text(6, parameter["type"]) + wire.flag(20, True)
    return wire.message(1, wire.message(2, wire.message(3, data)))


def _named_schema(name: str, schema: dict[str, Any]) -> bytes:
    return wire.text(1, name) + wire.message(2, _encode_schema(schema))


def _encode_schema(schema: dict[str, Any]) -> bytes:
    data = wire.text(1, schema.get("$ref", ""))
    data += wire.text(2, schema.get("format", "")) + wire.text(4, schema.get("description", ""))
    data += b"".join(wire.text(19, name) for name in schema.get("required", ()))
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        data += wire.message(21, wire.message(1, _encode_schema(more)))
    elif more is not None:
        data += wire.message(21, wire.flag(2, more))
    if "type" in schema:
        data += wire.message(22, wire.text(1, schema["type"]))
    if "items" in schema:
        data += wire.message(23, wire.message(1, _encode_schema(schema["items"])))
    if "properties" in schema:
        properties = b"".join(
            wire.message(1, _named_schema(name, item))
            for name, item in schema["properties"].items()
        )
        data += wire.message(25, properties)
    return data + _extensions(31, schema)


def _extensions(number: int, owner: dict[str, Any]) -> bytes:
    data = b""
    for name, value in owner.items():
        if name.startswith("x-"):
            yaml = msgspec.json.encode(value).decode() + "\n"
            data += wire.message(number, wire.text(1, name) + wire.message(2, wire.text(2, yaml)))
    return data
