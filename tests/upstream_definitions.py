"""Upstream's published definitions of v1.36, from the package ``kubernetes-validate``.

The package made JSON Schema out of the published form (nullable types, no unknown properties, enums
for kind and apiVersion); here that is undone, and references are those of OpenAPI v3.
"""

from __future__ import annotations

import importlib.resources
import json
from functools import cache
from typing import Any

_FILE = "kubernetes-json-schema/v1.36.0-local-strict/_definitions.json"
_OLD_REF = "#/$defs/"
_REF = "#/components/schemas/"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# The package has no text for it.
_EITHER = {"oneOf": [{"type": "string"}, {"type": "number"}]}


@cache
def load() -> dict[str, Any]:
    """All definitions by name; shared, not to be changed."""
    folder = importlib.resources.files("kubernetes_validate")
    raw = json.loads(folder.joinpath(_FILE).read_bytes())["$defs"]
    return {name: _published(name, schema) for name, schema in raw.items()}


def _published(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if name == _INT_OR_STRING:
        return {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}
    if name == _QUANTITY:
        return _EITHER
    published = _plain(schema)
    if published.get("additionalProperties") is False:
        del published["additionalProperties"]
    for field in ("kind", "apiVersion"):
        published.get("properties", {}).get(field, {}).pop("enum", None)
    return published


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema node; a reference beside other keywords becomes ``allOf``."""
    published: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            published[key] = value[0]
        elif key == "properties":
            published[key] = {name: _plain(item) for name, item in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            published[key] = _plain(value)
        elif key == "$ref":
            target = {"$ref": _REF + value.removeprefix(_OLD_REF)}
            if len(schema) == 1:
                return target
            published["allOf"] = [target]
        else:
            published[key] = value
    return published
