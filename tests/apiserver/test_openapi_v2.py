"""The v2 document: the same operations as v3's, as JSON and in protobuf."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from trireme import api
from trireme.api.catalog import Catalog
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.openapi import v2
from trireme.apiserver.openapi.custom_kinds import Published
from trireme.apiserver.openapi.documents import Source, Steps
from trireme.apiserver.request import MEDIA

T = TypeVar("T")


def finish(steps: Steps[T]) -> T:
    """The result of work that is done in steps."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def small(encode: Callable[[Any, Any, str], Steps[bytes]]) -> bytes:
    """The document of one kind."""
    catalog = Catalog.of(api)
    resource = catalog.by_resource["", "v1", "configmaps"]
    whole = finish(Source((Endpoint(resource),), MEDIA, Published([])).whole())
    return finish(encode(whole["paths"], whole["components"]["schemas"], "v1.36.2"))


def test_operations_and_definitions() -> None:
    document = json.loads(small(v2.json))
    patch = document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]
    names = [item["name"] for item in patch["parameters"]]
    assert {"dryRun", "fieldManager", "fieldValidation", "body"} <= set(names)
    assert patch["x-kubernetes-group-version-kind"]["kind"] == "ConfigMap"
    config_map = document["definitions"]["io.k8s.api.core.v1.ConfigMap"]
    assert config_map["properties"]["metadata"]["$ref"].startswith("#/definitions/")
    assert config_map["properties"]["data"]["additionalProperties"]["type"] == "string"


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a message; fails on anything malformed."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        result = shift = 0
        while True:
            byte = data[at]
            at += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint().to_bytes(4, "big")))
            continue
        assert tag & 7 == 2
        size = varint()
        assert at + size <= len(data)
        found.append((tag >> 3, data[at : at + size]))
        at += size
    return found


def test_the_protobuf_form_holds_every_path_and_definition() -> None:
    document = json.loads(small(v2.json))
    top = fields(small(v2.protobuf))
    assert (1, b"2.0") in top
    (paths,) = [value for number, value in top if number == 8]
    names = [dict(fields(item))[1].decode() for _, item in fields(paths)]
    assert names == list(document["paths"])
    (definitions,) = [value for number, value in top if number == 9]
    names = [dict(fields(item))[1].decode() for _, item in fields(definitions)]
    assert names == list(document["definitions"])
