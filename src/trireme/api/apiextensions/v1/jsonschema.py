"""The schema of a custom resource as its definition writes it: OpenAPI v3 with extensions.

Types only. What the schema means is in ``api/apiextensions/schema``, which works on the plain
JSON form (``msgspec.to_builtins``). Upstream: apiextensions/v1 JSONSchemaProps.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from trireme.machinery.types import AnyJSON, Atomic, Int64, Merge, Required, Struct, always, listmap


class ExternalDocumentation(Struct):
    description: str = ""
    url: str = ""


class ValidationRule(Struct):
    rule: Annotated[str, Required()] = always(str)
    message: str = ""
    messageExpression: str = ""
    reason: str | None = None
    fieldPath: str = ""
    optionalOldSelf: bool | None = None


class JSONSchemaProps(Struct):
    id: str = ""
    schema: str = msgspec.field(name="$schema", default="")
    ref: str | None = msgspec.field(name="$ref", default=None)
    description: str = ""
    type: str = ""
    format: str = ""
    title: str = ""
    default: AnyJSON = None
    maximum: float | int | None = None
    exclusiveMaximum: bool = False
    minimum: float | int | None = None
    exclusiveMinimum: bool = False
    maxLength: Int64 | None = None
    minLength: Int64 | None = None
    pattern: str = ""
    maxItems: Int64 | None = None
    minItems: Int64 | None = None
    uniqueItems: bool = False
    multipleOf: float | int | None = None
    enum: Annotated[list[AnyJSON], Atomic()] = []
    maxProperties: Int64 | None = None
    minProperties: Int64 | None = None
    required: Annotated[list[str], Atomic()] = []
    items: JSONSchemaProps | list[JSONSchemaProps] | None = None
    allOf: Annotated[list[JSONSchemaProps], Atomic()] = []
    oneOf: Annotated[list[JSONSchemaProps], Atomic()] = []
    anyOf: Annotated[list[JSONSchemaProps], Atomic()] = []
    not_: JSONSchemaProps | None = msgspec.field(name="not", default=None)
    properties: dict[str, JSONSchemaProps] = {}
    additionalProperties: JSONSchemaProps | bool | None = None
    patternProperties: dict[str, JSONSchemaProps] = {}
    dependencies: dict[str, JSONSchemaProps | list[str]] = {}
    additionalItems: JSONSchemaProps | bool | None = None
    definitions: dict[str, JSONSchemaProps] = {}
    externalDocs: ExternalDocumentation | None = None
    example: AnyJSON = None
    nullable: bool = False
    xPreserveUnknownFields: bool | None = msgspec.field(
        name="x-kubernetes-preserve-unknown-fields", default=None
    )
    xEmbeddedResource: bool = msgspec.field(name="x-kubernetes-embedded-resource", default=False)
    xIntOrString: bool = msgspec.field(name="x-kubernetes-int-or-string", default=False)
    xListMapKeys: Annotated[list[str], Atomic()] = msgspec.field(
        name="x-kubernetes-list-map-keys", default_factory=list
    )
    xListType: str | None = msgspec.field(name="x-kubernetes-list-type", default=None)
    xMapType: str | None = msgspec.field(name="x-kubernetes-map-type", default=None)
    xValidations: Annotated[list[ValidationRule], listmap("rule"), Merge("rule")] = msgspec.field(
        name="x-kubernetes-validations", default_factory=list
    )


def normalize_numbers(schema: JSONSchemaProps) -> None:
    """Write bounds that are whole as upstream does: 1, not 1.0; in place, all below included."""
    for name in ("maximum", "minimum", "multipleOf"):
        value = getattr(schema, name)
        if type(value) is float and value.is_integer() and abs(value) < 1e21:
            setattr(schema, name, int(value))
    below: list[object] = [*schema.allOf, *schema.oneOf, *schema.anyOf, schema.not_]
    below += [*schema.properties.values(), schema.items, schema.additionalProperties]
    for item in below:
        if isinstance(item, JSONSchemaProps):
            normalize_numbers(item)
