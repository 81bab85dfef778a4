"""The whole API as one OpenAPI v2 (Swagger) document: from the v3 operations and schemas. Pure.

In: what ``paths`` and ``schemas`` make. Out: the document as JSON, and as the protobuf message that
kubectl and older clients ask for (gnostic's ``openapi.v2.Document``; the numbers below are its
fields). Extensions are carried as YAML text, and JSON is YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import chain
from typing import Any

import msgspec

from trireme.apiserver.served import Swagger
from trireme.machinery.codec.protobuf import wire

_SWAGGER = "2.0"
_TITLE = "Kubernetes"
_TOKEN = "BearerToken"
_SCHEME = {
    "description": "A bearer token.",
    "type": "apiKey",
    "name": "authorization",
    "in": "header",
}
_REF = "#/components/schemas/"
_OLD_REF = "#/definitions/"
_SAME = ("tags", "description", "operationId", "deprecated")
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


# Our definition of a name.
Own = Callable[[str], dict[str, Any] | None]
# What aggregated API servers add to the document, which knows its own definitions.
Added = Callable[[Own], Swagger]


def _nothing(own: Own) -> Swagger:
    return Swagger({}, {})


def json(
    operations: dict[str, Any], definitions: dict[str, Any], version: str, added: Added = _nothing
) -> Generator[None, None, bytes]:
    """The document as JSON, a path or a definition a step."""
    more = added(_own(definitions))
    paths: dict[str, msgspec.Raw] = {}
    for path, item in operations.items():
        paths[path] = msgspec.Raw(msgspec.json.encode(_path(item)))
        yield
    schemas: dict[str, msgspec.Raw] = {}
    for name, schema in definitions.items():
        schemas[name] = msgspec.Raw(msgspec.json.encode(_schema(schema)))
        yield
    for target, source in ((paths, more.paths), (schemas, more.definitions)):
        for name, value in source.items():
            target.setdefault(name, msgspec.Raw(msgspec.json.encode(value)))
            yield
    whole = {
        "swagger": _SWAGGER,
        "info": {"title": _TITLE, "version": version},
        "paths": paths,
        "definitions": schemas,
        "securityDefinitions": {_TOKEN: _SCHEME},
        "security": [{_TOKEN: []}],
    }
    return msgspec.json.encode(whole)


def _own(definitions: dict[str, Any]) -> Own:
    """Our definition of a name, in v2's words."""

    def find(name: str) -> dict[str, Any] | None:
        schema = definitions.get(name)
        return None if schema is None else _schema(schema)

    return find


def _path(item: dict[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key, value in item.items():
        if key == "parameters":
            converted[key] = [_parameter(each) for each in value]
        else:
            converted[key] = _operation(value)
    return converted


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    converted = {key: value for key, value in operation.items() if key in _SAME or key[:2] == "x-"}
    converted["schemes"] = ["https"]
    parameters = [_parameter(each) for each in operation.get("parameters", ())]
    produces: list[str] = []
    responses: dict[str, Any] = {}
    for code, answer in operation["responses"].items():
        responses[code] = {"description": answer.get("description", "")}
        content = answer.get("content")
        if content:
            produces = list(content)
            responses[code]["schema"] = _schema(next(iter(content.values()))["schema"])
    if produces:
        converted["produces"] = produces
    body = operation.get("requestBody")
    if body is not None:
        media = body["content"]
        parameter: dict[str, Any] = {"name": "body", "in": "body"}
        if body.get("required"):
            parameter["required"] = True
        parameters.append(parameter | {"schema": _schema(next(iter(media.values()))["schema"])})
        converted["consumes"] = list(media)
    elif "x-kubernetes-action" in operation:
        converted["consumes"] = ["*/*"]
    elif "$ref" in next(iter(responses.values())).get("schema", ()):
        converted["consumes"] = produces
    if parameters:
        converted["parameters"] = parameters
    converted["responses"] = responses
    return converted


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    converted = {key: value for key, value in parameter.items() if key != "schema"}
    return {**converted, **parameter["schema"]}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A v3 schema in v2's words: no alternatives, references elsewhere."""
    converted: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$ref":
            converted[key] = _OLD_REF + value.removeprefix(_REF)
        elif key == "allOf":
            # v2 lets a description stand beside a reference.
            converted |= _schema(value[0])
        elif key == "oneOf":
            converted["type"] = "string"
        elif key == "properties":
            converted[key] = {name: _schema(item) for name, item in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            converted[key] = _schema(value)
        else:
            converted[key] = value
    return converted


# The protobuf form.

_NUMBERS = {"multipleOf": 6, "maximum": 7, "minimum": 9}
_COUNTS = {
    "maxLength": 11,
    "minLength": 12,
    "maxItems": 14,
    "minItems": 15,
    "maxProperties": 17,
    "minProperties": 18,
}


def protobuf(
    operations: dict[str, Any], definitions: dict[str, Any], version: str, added: Added = _nothing
) -> Generator[None, None, bytes]:
    """The document as gnostic's ``openapi.v2.Document``, a path or a definition a step."""
    more = added(_own(definitions))
    paths: list[bytes] = []
    for path, item in chain(
        ((path, _path(item)) for path, item in operations.items()),
        ((path, item) for path, item in more.paths.items() if path not in operations),
    ):
        paths.append(wire.message(2, wire.text(1, path) + wire.message(2, _encode_path(item))))
        yield
    schemas: list[bytes] = []
    for name, schema in chain(
        ((name, _schema(schema)) for name, schema in definitions.items()),
        more.definitions.items(),
    ):
        schemas.append(wire.message(1, _named_schema(name, schema)))
        yield
    token = wire.text(1, _TOKEN)
    return (
        wire.text(1, _SWAGGER)
        + wire.message(2, wire.text(1, _TITLE) + wire.text(2, version))
        + wire.message(8, b"".join(paths))
        + wire.message(9, b"".join(schemas))
        + wire.message(12, wire.message(1, token + wire.message(2, b"")))
        + wire.message(13, wire.message(1, token + wire.message(2, wire.message(2, _key(_SCHEME)))))
    )


def _key(scheme: dict[str, Any]) -> bytes:
    """A security scheme with a key in a header."""
    return (
        wire.text(1, scheme["type"])
        + wire.text(2, scheme["name"])
        + wire.text(3, scheme["in"])
        + wire.text(4, scheme["description"])
    )


def _encode_path(item: dict[str, Any]) -> bytes:
    data = b""
    for key, value in item.items():
        if key == "parameters":
            data += b"".join(wire.message(9, _encode_parameter(each)) for each in value)
        elif key in _METHODS:
            data += wire.message(_METHODS[key], _encode_operation(value))
    return data


def _encode_operation(operation: dict[str, Any]) -> bytes:
    data = b"".join(wire.text(1, tag) for tag in operation.get("tags", ()))
    data += wire.text(3, operation.get("description", "")) + wire.text(
        5, operation.get("operationId", "")
    )
    data += b"".join(wire.text(6, media) for media in operation.get("produces", ()))
    data += b"".join(wire.text(7, media) for media in operation.get("consumes", ()))
    data += b"".join(
        wire.message(8, _encode_parameter(each)) for each in operation.get("parameters", ())
    )
    answers = b""
    for code, answer in operation["responses"].items():
        content = wire.text(1, answer.get("description", ""))
        if "schema" in answer:
            content += wire.message(2, wire.message(1, _encode_schema(answer["schema"])))
        answers += wire.message(1, wire.text(1, code) + wire.message(2, wire.message(1, content)))
    data += wire.message(9, answers) + b"".join(
        wire.text(10, name) for name in operation.get("schemes", ())
    )
    data += wire.flag(11, operation.get("deprecated", False))
    return data + _extensions(13, operation)


def _encode_parameter(parameter: dict[str, Any]) -> bytes:
    required = wire.flag(1, parameter.get("required", False))
    about = wire.text(3, parameter.get("description", ""))
    if parameter["in"] == "body":
        body = wire.text(2, parameter["name"]) + wire.text(3, "body")
        body += wire.flag(4, parameter.get("required", False))
        body += wire.message(5, _encode_schema(parameter["schema"]))
        return wire.message(1, wire.message(1, body))
    if parameter["in"] == "path":
        data = required + wire.text(2, "path") + about + wire.text(4, parameter["name"])
        data += wire.text(5, parameter.get("type", "")) + wire.flag(19, True)
        return wire.message(1, wire.message(2, wire.message(4, data)))
    data = required + wire.text(2, "query") + about + wire.text(4, parameter["name"])
    data += wire.text(6, parameter.get("type", "")) + wire.flag(20, True)
    return wire.message(1, wire.message(2, wire.message(3, data)))


def _named_schema(name: str, schema: dict[str, Any]) -> bytes:
    return wire.text(1, name) + wire.message(2, _encode_schema(schema))


def _encode_schema(schema: dict[str, Any]) -> bytes:
    data = wire.text(1, schema.get("$ref", ""))
    data += wire.text(2, schema.get("format", "")) + wire.text(4, schema.get("description", ""))
    data += b"".join(wire.text(19, name) for name in schema.get("required", ()))
    data += b"".join(_keyword(key, value) for key, value in schema.items())
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


def _keyword(key: str, value: Any) -> bytes:
    """A keyword that only the schemas of custom resources have."""
    if key in _NUMBERS:
        return wire.double(_NUMBERS[key], value)
    if key in _COUNTS:
        return wire.number(_COUNTS[key], value)
    match key:
        case "title":
            return wire.text(3, value)
        case "default":
            return wire.message(5, _yaml(value))
        case "exclusiveMaximum":
            return wire.flag(8, value)
        case "exclusiveMinimum":
            return wire.flag(10, value)
        case "pattern":
            return wire.text(13, value)
        case "uniqueItems":
            return wire.flag(16, value)
        case "enum":
            return b"".join(wire.message(20, _yaml(each)) for each in value)
    return b""


def _yaml(value: Any) -> bytes:
    return wire.text(2, msgspec.json.encode(value).decode() + "\n")


def _extensions(number: int, owner: dict[str, Any]) -> bytes:
    data = b""
    for name, value in owner.items():
        if name.startswith("x-"):
            data += wire.message(number, wire.text(1, name) + wire.message(2, _yaml(value)))
    return data
