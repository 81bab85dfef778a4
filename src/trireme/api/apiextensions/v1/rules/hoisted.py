"""A definition as upstream's rules see it: what all versions share stands at the top.

Upstream's internal form has ``validation``, ``subresources``, ``additionalPrinterColumns`` and
``selectableFields`` beside the versions, and what is the same in all of them is moved there before
it is validated; errors name these places. Upstream: apiextensions/v1/conversion.go.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trireme.api.apiextensions.schema.structural import Schema
from trireme.api.apiextensions.v1.types import (
    CustomResourceColumnDefinition,
    CustomResourceDefinitionSpec,
    CustomResourceDefinitionVersion,
    CustomResourceSubresources,
    SelectableField,
)


class Part:
    """What stands at the top or in one version; ``schema`` is the plain JSON of its schema."""

    def __init__(self, version: CustomResourceDefinitionVersion | None) -> None:
        self.has_validation = False
        self.schema: Schema | None = None
        self.subresources: CustomResourceSubresources | None = None
        self.columns: list[CustomResourceColumnDefinition] = []
        self.selectable: list[SelectableField] = []
        if version is None:
            return
        self.has_validation = version.schema is not None
        if version.schema is not None and version.schema.openAPIV3Schema is not None:
            self.schema = msgspec.to_builtins(version.schema.openAPIV3Schema)
        self.subresources = version.subresources
        self.columns = version.additionalPrinterColumns
        self.selectable = version.selectableFields

    @property
    def has_status(self) -> bool:
        return self.subresources is not None and self.subresources.status is not None


_SHARED: Final = (("has_validation", "schema"), ("subresources",), ("columns",), ("selectable",))


class Hoisted:
    """``whole`` holds each version's own parts, ``top`` and ``parts`` the form after moving."""

    def __init__(self, spec: CustomResourceDefinitionSpec) -> None:
        self.spec = spec
        self.whole = [Part(version) for version in spec.versions]
        self.parts = [Part(version) for version in spec.versions]
        self.top = Part(None)
        empty = Part(None)
        for names in _SHARED:
            values = [[getattr(part, name) for name in names] for part in self.whole]
            if values and all(value == values[0] for value in values):
                for name, value in zip(names, values[0], strict=True):
                    setattr(self.top, name, value)
                    for part in self.parts:
                        setattr(part, name, getattr(empty, name))

    def schemas(self) -> list[Schema]:
        """Every schema once."""
        found = [self.top.schema] + [part.schema for part in self.parts]
        return [schema for schema in found if schema is not None]

    def internal_versions(self) -> msgspec.Raw:
        """The versions as upstream's errors print them."""
        pairs = zip(self.spec.versions, self.parts, strict=True)
        return msgspec.Raw(msgspec.json.encode([_version(item, part) for item, part in pairs]))


def _version(version: CustomResourceDefinitionVersion, part: Part) -> dict[str, Any]:
    validation = None
    if part.has_validation:
        schema = None if part.schema is None else internal_schema(part.schema)
        validation = {"OpenAPIV3Schema": schema}
    subresources = None
    if part.subresources is not None:
        scale = part.subresources.scale
        subresources = {
            "Status": None if part.subresources.status is None else {},
            "Scale": scale
            and {
                "SpecReplicasPath": scale.specReplicasPath,
                "StatusReplicasPath": scale.statusReplicasPath,
                "LabelSelectorPath": scale.labelSelectorPath,
            },
        }
    columns = [
        {
            "Name": item.name,
            "Type": item.type,
            "Format": item.format,
            "Description": item.description,
            "Priority": item.priority,
            "JSONPath": item.jsonPath,
        }
        for item in part.columns
    ]
    return {
        "Name": version.name,
        "Served": version.served,
        "Storage": version.storage,
        "Deprecated": version.deprecated,
        "DeprecationWarning": version.deprecationWarning,
        "Schema": validation,
        "Subresources": subresources,
        "AdditionalPrinterColumns": columns or None,
        "SelectableFields": [{"JSONPath": item.jsonPath} for item in part.selectable] or None,
    }


# Upstream's names of a schema's fields in the order of its internal type, the wire's name and the
# zero value.
FIELDS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("ID", "id", ""),
    ("Schema", "$schema", ""),
    ("Ref", "$ref", None),
    ("Description", "description", ""),
    ("Type", "type", ""),
    ("Nullable", "nullable", False),
    ("Format", "format", ""),
    ("Title", "title", ""),
    ("Default", "default", None),
    ("Maximum", "maximum", None),
    ("ExclusiveMaximum", "exclusiveMaximum", False),
    ("Minimum", "minimum", None),
    ("ExclusiveMinimum", "exclusiveMinimum", False),
    ("MaxLength", "maxLength", None),
    ("MinLength", "minLength", None),
    ("Pattern", "pattern", ""),
    ("MaxItems", "maxItems", None),
    ("MinItems", "minItems", None),
    ("UniqueItems", "uniqueItems", False),
    ("MultipleOf", "multipleOf", None),
    ("Enum", "enum", None),
    ("MaxProperties", "maxProperties", None),
    ("MinProperties", "minProperties", None),
    ("Required", "required", None),
    ("Items", "items", None),
    ("AllOf", "allOf", None),
    ("OneOf", "oneOf", None),
    ("AnyOf", "anyOf", None),
    ("Not", "not", None),
    ("Properties", "properties", None),
    ("AdditionalProperties", "additionalProperties", None),
    ("PatternProperties", "patternProperties", None),
    ("Dependencies", "dependencies", None),
    ("AdditionalItems", "additionalItems", None),
    ("Definitions", "definitions", None),
    ("ExternalDocs", "externalDocs", None),
    ("Example", "example", None),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", None),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", False),
    ("XIntOrString", "x-kubernetes-int-or-string", False),
    ("XListMapKeys", "x-kubernetes-list-map-keys", None),
    ("XListType", "x-kubernetes-list-type", None),
    ("XMapType", "x-kubernetes-map-type", None),
    ("XValidations", "x-kubernetes-validations", None),
)


def internal_schema(schema: Schema) -> dict[str, Any]:
    """A schema as upstream's errors print it."""
    return {
        go_name: _internal(json_name, schema[json_name]) if json_name in schema else zero
        for go_name, json_name, zero in FIELDS
    }


def _internal(name: str, value: Any) -> Any:
    if name in ("allOf", "oneOf", "anyOf"):
        return [internal_schema(item) for item in value]
    if name in ("properties", "patternProperties", "definitions"):
        return {key: internal_schema(value[key]) for key in sorted(value)}
    if name == "not":
        return internal_schema(value)
    if name == "items":
        if isinstance(value, list):
            return {"Schema": None, "JSONSchemas": [internal_schema(item) for item in value]}
        return {"Schema": internal_schema(value), "JSONSchemas": None}
    if name in ("additionalProperties", "additionalItems"):
        if isinstance(value, bool):
            return {"Allows": value, "Schema": None}
        return {"Allows": True, "Schema": internal_schema(value)}
    if name == "dependencies":
        return {key: _dependency(value[key]) for key in sorted(value)}
    if name == "externalDocs":
        return {"Description": value.get("description", ""), "URL": value.get("url", "")}
    if name == "x-kubernetes-validations":
        return [internal_rule(item) for item in value]
    return value


def _dependency(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"Schema": None, "Property": value}
    return {"Schema": internal_schema(value), "Property": None}


def internal_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A validation rule as upstream's errors print it."""
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def raw_schema(schema: Schema) -> msgspec.Raw:
    """The same as JSON in upstream's order."""
    return msgspec.Raw(msgspec.json.encode(internal_schema(schema)))


def raw_items(items: list[Schema]) -> msgspec.Raw:
    """Several schemas in the place of one, as upstream's errors print them."""
    return msgspec.Raw(msgspec.json.encode(_internal("items", items)))
