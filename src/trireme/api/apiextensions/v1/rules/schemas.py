"""The schema of a definition: structural, its defaults valid, nothing in it that is not allowed.

In: the plain JSON of ``openAPIV3Schema``. Out: errors below ``at``, the place of the schema.
``rules_of`` validates the CEL rules once nothing else is wrong. Upstream: validation.go
ValidateCustomResourceDefinitionOpenAPISchema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from trireme.api.apiextensions.schema import check, checkdefaults, fieldpath, structural
from trireme.api.apiextensions.schema.structural import META_FIELDS, NotStructural, Schema
from trireme.api.apiextensions.v1.rules import celrules, hoisted
from trireme.api.apiextensions.v1.rules.options import OPENAPI_TYPES, Options
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.field import Path

_AT_ROOT: Final = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum",
    "ExclusiveMinimum", "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems",
    "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example",
    "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
_UNSUPPORTED: Final = (
    ("id", "id"),
    ("additionalItems", "additionalItems"),
    ("patternProperties", "patternProperties"),
    ("definitions", "definitions"),
    ("dependencies", "dependencies"),
    ("$ref", "$ref"),
)
_REASONS: Final = (
    "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired",
)  # fmt: skip
_NEWLINES: Final = re.compile(r"[\n\r]")


@dataclass(frozen=True)
class _Place:
    """What the walk carries down."""

    no_defaults: str | None = None
    in_metadata: bool = False
    uncorrelated: Path | None = None


def validate(
    errs: Errors,
    schema: Schema | None,
    has_status: bool,
    options: Options,
    version: str,
    at: Path,
) -> None:
    """Errors of one schema."""
    if schema is None:
        return
    found: Errors = []
    where = at.child("openAPIV3Schema")
    if has_status:
        _root_fields(found, schema, at)
    if schema.get("nullable"):
        here = at.child("openAPIV3Schema.nullable")
        found.append(field.forbidden(here, "nullable cannot be true at the root"))
    late: Errors = []
    context: celrules.Context | None = None
    if options.structural:
        try:
            bare = structural.of(schema)
        except NotStructural as problem:
            late.append(field.invalid(where, "", str(problem)))
        else:
            wrong = check.validate(bare, where) or checkdefaults.validate(
                structural.as_root(bare),
                where,
                must_be_pruned=options.pruned_defaults,
                rules=celrules.validate_default,
            )
            found += wrong
            if not wrong:
                context = celrules.Context.root(schema, options, version)
    walk = _Walk(options)
    walk.schema(schema, where, _Place(), True, context)
    found += walk.schema_errors + walk.rule_errors
    found += late if not found else []
    if context is not None:
        found += context.total_errors(where)
    errs += found


def _root_fields(errs: Errors, schema: Schema, at: Path) -> None:
    """With a status subresource the status has a schema of its own, which junctors would cut."""
    for go_name, json_name, _ in hoisted.FIELDS:
        if json_name not in schema:
            continue
        if go_name == "Type":
            if schema["type"] != "object":
                detail = (
                    'only "object" is allowed as the type at the root of the schema if the status '
                    "subresource is enabled"
                )
                here = at.child("openAPIV3Schema.type")
                errs.append(field.invalid(here, schema["type"], detail))
                return
        elif go_name not in _AT_ROOT:
            detail = (
                f"only [{' '.join(_AT_ROOT)}] fields are allowed at the root of the schema if the "
                "status subresource is enabled"
            )
            bad_value = hoisted.raw_schema(schema)
            errs.append(field.invalid(at.child("openAPIV3Schema"), bad_value, detail))
            return


class _Walk:
    """Visits every schema inside a schema. Rules are validated only where no other error is."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.schema_errors: Errors = []
        self.rule_errors: Errors = []

    def schema(
        self,
        schema: Schema,
        at: Path,
        place: _Place,
        is_root: bool,
        context: celrules.Context | None,
    ) -> None:
        before = len(self.schema_errors)
        errs = self.schema_errors
        self._forbidden(schema, at, place)
        if schema.get("uniqueItems"):
            detail = (
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
            )
            errs.append(field.forbidden(at.child("uniqueItems"), detail))
        self._additional(schema, at, place, context)
        self._properties(schema, at, place, is_root, context)
        self._branches(schema, at, place)
        self._items(schema, at, place, context)
        for name, item in schema.get("dependencies", {}).items():
            if isinstance(item, dict):
                self.schema(item, at.child("dependencies").key(name), place, False, None)
        if schema.get("x-kubernetes-preserve-unknown-fields") is False:
            where = at.child("x-kubernetes-preserve-unknown-fields")
            errs.append(field.invalid(where, False, "must be true or undefined"))
        self._kinds(schema, at)
        self._list_map(schema, at)
        if self._options.map_keys:
            self._list_keys(schema, at)
        rules = schema.get("x-kubernetes-validations", [])
        for position, rule in enumerate(rules):
            here = at.child("x-kubernetes-validations").index(position)
            self._rule(schema, rule, here)
        if rules and len(self.schema_errors) == before and context is not None:
            self.rule_errors += context.validate(at, place.uncorrelated)

    def _forbidden(self, schema: Schema, at: Path, place: _Place) -> None:
        errs, kind = self.schema_errors, schema.get("type", "")
        if self._options.known_types and kind and kind not in OPENAPI_TYPES:
            errs.append(field.not_supported(at.child("type"), kind, OPENAPI_TYPES))
        if schema.get("default") is not None and place.no_defaults is not None:
            detail = f"must not be set {place.no_defaults}"
            errs.append(field.forbidden(at.child("default"), detail))
        for key, name in _UNSUPPORTED:
            if key in schema:
                errs.append(field.forbidden(at.child(name), f"{name} is not supported"))
        if kind == "null":
            detail = "type cannot be set to null, use nullable as an alternative"
            errs.append(field.forbidden(at.child("type"), detail))
        if isinstance(schema.get("items"), list) and schema["items"]:
            detail = "items must be a schema object and not an array"
            errs.append(field.forbidden(at.child("items"), detail))
        if place.in_metadata and schema.get("x-kubernetes-embedded-resource"):
            where = at.child("x-kubernetes-embedded-resource")
            errs.append(field.forbidden(where, "must not be used inside of resource meta"))

    def _additional(
        self, schema: Schema, at: Path, place: _Place, context: celrules.Context | None
    ) -> None:
        more = schema.get("additionalProperties")
        if more is None:
            return
        where = at.child("additionalProperties")
        if schema.get("properties") and more is not True:
            detail = "additionalProperties and properties are mutual exclusive"
            self.schema_errors.append(field.forbidden(where, detail))
        if not isinstance(more, dict):
            return
        if place.in_metadata:
            place = replace(
                place, no_defaults="inside additionalProperties applying to object metadata"
            )
        below = context.additional() if context is not None else None
        self.schema(more, where, place, False, below)

    def _properties(
        self,
        schema: Schema,
        at: Path,
        place: _Place,
        is_root: bool,
        context: celrules.Context | None,
    ) -> None:
        for name, item in schema.get("properties", {}).items():
            here = place
            if schema.get("x-kubernetes-map-type", "granular") != "granular":
                here = replace(here, uncorrelated=here.uncorrelated or at)
            resource = is_root or schema.get("x-kubernetes-embedded-resource", False)
            if resource and name in META_FIELDS:
                here = replace(here, in_metadata=True)
                if is_root:
                    here = replace(here, no_defaults=f"in top-level {name}")
            below = context.property(name) if context is not None else None
            self.schema(item, at.child("properties").key(name), here, False, below)

    def _branches(self, schema: Schema, at: Path, place: _Place) -> None:
        if "not" in schema:
            self.schema(schema["not"], at.child("not"), place, False, None)
        for key in ("allOf", "oneOf", "anyOf"):
            for position, item in enumerate(schema.get(key, ())):
                self.schema(item, at.child(key).index(position), place, False, None)
        for name, item in schema.get("definitions", {}).items():
            self.schema(item, at.child("definitions").key(name), place, False, None)

    def _items(
        self, schema: Schema, at: Path, place: _Place, context: celrules.Context | None
    ) -> None:
        items: Any = schema.get("items")
        if items is None:
            return
        if schema.get("x-kubernetes-list-type") != "map":
            place = replace(place, uncorrelated=place.uncorrelated or at)
        where = at.child("items")
        if isinstance(items, list):
            for position, item in enumerate(items):
                self.schema(item, where.index(position), place, False, None)
        else:
            below = context.items() if context is not None else None
            self.schema(items, where, place, False, below)

    def _kinds(self, schema: Schema, at: Path) -> None:
        errs, kind = self.schema_errors, schema.get("type", "")
        map_type = schema.get("x-kubernetes-map-type")
        list_type = schema.get("x-kubernetes-list-type")
        if map_type is not None and kind != "object":
            _must_be(errs, kind, "object", "x-kubernetes-map-type", at)
        if map_type is not None and map_type not in ("atomic", "granular"):
            where = at.child("x-kubernetes-map-type")
            errs.append(field.not_supported(where, map_type, ("atomic", "granular")))
        if list_type is not None and kind != "array":
            _must_be(errs, kind, "array", "x-kubernetes-list-type", at)
        elif self._options.atomic_sets and list_type == "set":
            self._set_items(schema.get("items"), at.child("items"))
        if list_type is not None and list_type not in ("atomic", "set", "map"):
            where = at.child("x-kubernetes-list-type")
            errs.append(field.not_supported(where, list_type, ("atomic", "set", "map")))

    def _set_items(self, items: Any, at: Path) -> None:
        if not isinstance(items, dict):
            return
        list_type = items.get("x-kubernetes-list-type")
        detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
        if items.get("type") == "array" and list_type not in (None, "atomic"):
            where = at.child("x-kubernetes-list-type")
            self.schema_errors.append(field.invalid(where, list_type, detail))
        if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
            where = at.child("x-kubernetes-map-type")
            # Upstream shows the type of list here.
            self.schema_errors.append(field.invalid(where, list_type, detail))

    def _list_map(self, schema: Schema, at: Path) -> None:
        errs = self.schema_errors
        keys = schema.get("x-kubernetes-list-map-keys", [])
        list_type = schema.get("x-kubernetes-list-type")
        if keys and list_type != "map":
            where = at.child("x-kubernetes-list-type")
            detail = "must be map if x-kubernetes-list-map-keys is non-empty"
            missing = list_type is None
            wrong = (
                field.required(where, detail)
                if missing
                else field.invalid(where, list_type, detail)
            )
            errs.append(wrong)
        if list_type != "map":
            return
        where = at.child("x-kubernetes-list-map-keys")
        if not keys:
            detail = "must not be empty if x-kubernetes-list-type is map"
            errs.append(field.required(where, detail))
        items: Any = schema.get("items")
        if items is None:
            detail = "must have a schema if x-kubernetes-list-type is map"
            errs.append(field.required(at.child("items"), detail))
            return
        if isinstance(items, list):
            detail = "must only have a single schema if x-kubernetes-list-type is map"
            bad_value = hoisted.raw_items(items)
            errs.append(field.invalid(at.child("items"), bad_value, detail))
            return
        if items.get("type", "") != "object":
            detail = "must be object if parent array's x-kubernetes-list-type is map"
            bad_type = items.get("type", "")
            errs.append(field.invalid(at.child("items", "type"), bad_type, detail))
            return
        used: set[str] = set()
        for key in keys:
            item = items.get("properties", {}).get(key)
            if item is None:
                detail = "entries must all be names of item properties"
                errs.append(field.invalid(where, keys, detail))
            elif item.get("type") in ("array", "object"):
                here = at.child("items", "properties").key(key).child("type")
                detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
                errs.append(field.invalid(here, items["type"], detail))
            if key in used:
                errs.append(field.invalid(where, keys, "must not contain duplicate entries"))
            used.add(key)

    def _list_keys(self, schema: Schema, at: Path) -> None:
        items, kind = schema.get("items"), schema.get("x-kubernetes-list-type")
        if kind not in ("set", "map") or not isinstance(items, dict):
            return
        errs, where = self.schema_errors, at.child("items")
        if items.get("nullable"):
            detail = f"cannot be nullable when x-kubernetes-list-type is {kind}"
            errs.append(field.forbidden(where.child("nullable"), detail))
        if kind == "set":
            return
        for key in schema.get("x-kubernetes-list-map-keys", ()):
            item = items.get("properties", {}).get(key)
            if item is None:
                continue
            here = where.child("properties").key(key)
            detail = "this property is in x-kubernetes-list-map-keys, so it "
            if key not in items.get("required", ()) and item.get("default") is None:
                must = "must have a default or be a required property"
                errs.append(field.required(here.child("default"), detail + must))
            if item.get("nullable"):
                errs.append(field.forbidden(here.child("nullable"), detail + "cannot be nullable"))

    def _rule(self, schema: Schema, rule: dict[str, Any], at: Path) -> None:
        """Errors of a rule apart from its expression."""
        errs = self.schema_errors
        text, message = rule["rule"].strip(), rule.get("message", "")
        if not text:
            errs.append(field.required(at.child("rule"), "rule is not specified"))
        elif message and not message.strip():
            errs.append(
                field.invalid(at.child("message"), message, "must be non-empty if specified")
            )
        elif _NEWLINES.search(message.strip()):
            errs.append(field.invalid(at.child("message"), message, "must not contain line breaks"))
        elif _NEWLINES.search(text) and not message.strip():
            detail = "message must be specified if rule contains line breaks"
            errs.append(field.required(at.child("message"), detail))
        expression = rule.get("messageExpression", "")
        if expression and not expression.strip():
            detail = "messageExpression must be non-empty if specified"
            errs.append(field.required(at.child("messageExpression"), detail))
        reason = rule.get("reason")
        if reason is not None and reason not in _REASONS:
            errs.append(field.not_supported(at.child("reason"), reason, _REASONS))
        path, where = rule.get("fieldPath", ""), at.child("fieldPath")
        if not path:
            return
        if not path.strip():
            errs.append(field.invalid(where, path, "must be non-empty if specified"))
        if _NEWLINES.search(path):
            errs.append(field.invalid(where, path, "must not contain line breaks"))
        try:
            fieldpath.find(path, structural.of(schema))
        except NotStructural:
            return
        except ValueError:
            errs.append(field.invalid(where, path, "must be a valid path"))


def _must_be(errs: Errors, kind: str, expected: str, key: str, at: Path) -> None:
    where, detail = at.child("type"), f"must be {expected} if {key} is specified"
    errs.append(field.invalid(where, kind, detail) if kind else field.required(where, detail))
