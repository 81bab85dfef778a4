"""Whether a schema is structural, and the errors where it is not.

In: a ``Structural`` tree. Out: errors, sorted by their text as upstream has them. Rules:
custom-resource-definitions/#specifying-a-structural-schema; upstream schema/validation, complete.
"""

from __future__ import annotations

from typing import Any, Final

from trireme.api.apiextensions.schema.structural import Schema, Structural
from trireme.expr.cel import regex
from trireme.machinery import field
from trireme.machinery.field import FieldError, Path

_ROOT, _ITEM, _FIELD = "at the root", "for specified array items", "for specified object fields"
_EITHER: Final = [{"type": "integer"}, {"type": "string"}]
# What a branch of a junctor may not contain, with upstream's word for how it must be.
_FORBIDDEN: Final = (
    ("default", "undefined"),
    ("title", "empty"),
    ("description", "empty"),
    ("nullable", "false"),
    ("x-kubernetes-preserve-unknown-fields", "false"),
    ("x-kubernetes-embedded-resource", "false"),
    ("x-kubernetes-int-or-string", "false"),
    ("x-kubernetes-list-map-keys", "empty"),
    ("x-kubernetes-list-type", "undefined"),
    ("x-kubernetes-map-type", "undefined"),
    ("x-kubernetes-validations", "empty"),
)
_JUNCTORS: Final = ("allOf", "anyOf", "oneOf")

Errors = list[FieldError]


def validate(node: Structural, at: Path) -> Errors:
    """Errors that keep the schema from being structural."""
    errs: Errors = []
    _invariants(errs, node, _ROOT, at)
    _completeness(errs, node.schema, node, at, at)
    return sorted(errs, key=str)


def _invariants(errs: Errors, node: Structural, level: str, at: Path) -> None:
    if node.type == "array" and node.items is None:
        errs.append(field.required(at.child("items"), "must be specified"))
    if node.items is not None:
        _invariants(errs, node.items, _ITEM, at.child("items"))
    for name, item in node.properties.items():
        _invariants(errs, item, _FIELD, at.child("properties").key(name))
    if node.keeps_additional:
        if level == _ROOT:
            where = at.child("additionalProperties")
            errs.append(field.forbidden(where, "must not be used at the root"))
        if node.additional is not None:
            _invariants(errs, node.additional, _FIELD, at.child("additionalProperties"))
    _extensions(errs, node, at)
    any_of, all_of = node.schema.get("anyOf", []), node.schema.get("allOf", [])
    in_all = bool(all_of) and _bare_types(all_of[0].get("anyOf", []))
    _values(errs, node.schema, _bare_types(any_of), in_all, at)
    _types(errs, node, level, at)
    _meta_fields(errs, node, level, at)


def _bare_types(branches: list[Schema]) -> bool:
    """The one form of anyOf that may name types: that of int-or-string."""
    return branches == _EITHER


def _extensions(errs: Errors, node: Structural, at: Path) -> None:
    detail = "must be false if x-kubernetes-int-or-string is true"
    if node.int_or_string and node.preserve:
        where = at.child("x-kubernetes-preserve-unknown-fields")
        errs.append(field.invalid(where, True, detail))
    if node.int_or_string and node.schema.get("x-kubernetes-embedded-resource"):
        errs.append(field.invalid(at.child("x-kubernetes-embedded-resource"), True, detail))


def _types(errs: Errors, node: Structural, level: str, at: Path) -> None:
    where = at.child("type")
    embedded = node.schema.get("x-kubernetes-embedded-resource", False)
    if embedded and node.type != "object":
        detail = "must be object if x-kubernetes-embedded-resource is true"
        wrong = (
            field.invalid(where, node.type, detail) if node.type else field.required(where, detail)
        )
        errs.append(wrong)
    elif not node.type and not node.int_or_string and not node.preserve:
        errs.append(field.required(where, f"must not be empty {level}"))
    if embedded and node.keeps_additional:
        detail = "must not be used if x-kubernetes-embedded-resource is set"
        errs.append(field.forbidden(at.child("additionalProperties"), detail))
    if level == _ROOT and node.type and node.type != "object":
        errs.append(field.invalid(where, node.type, "must be object at the root"))
    if embedded and not node.preserve and not node.properties:
        detail = (
            "must not be empty if x-kubernetes-embedded-resource is true without "
            "x-kubernetes-preserve-unknown-fields"
        )
        errs.append(field.required(at.child("properties"), detail))


def _meta_fields(errs: Errors, node: Structural, level: str, at: Path) -> None:
    resource = level == _ROOT or node.schema.get("x-kubernetes-embedded-resource", False)
    for name in ("kind", "apiVersion"):
        item = node.properties.get(name)
        if item is not None and resource and item.type != "string":
            where = at.child("properties").key(name).child("type")
            errs.append(field.invalid(where, item.type, "must be string"))
    metadata = node.properties.get("metadata")
    if metadata is None:
        return
    where = at.child("properties").key("metadata")
    if resource and metadata.type != "object":
        errs.append(field.invalid(where.child("type"), metadata.type, "must be object"))
    if level == _ROOT and not _restricts_names_only(metadata):
        detail = (
            "must not specify anything other than name and generateName, but metadata is "
            "implicitly specified"
        )
        errs.append(field.forbidden(where, detail))


def _restricts_names_only(metadata: Structural) -> bool:
    rest = {key for key in metadata.schema if key not in ("type", "default")}
    if "properties" in rest and set(metadata.properties) <= {"name", "generateName"}:
        rest.discard("properties")
    return not rest


def _values(errs: Errors, schema: Schema, skip_any: bool, skip_first: bool, at: Path) -> None:
    """The value validations of a node or a branch."""
    if not skip_any:
        for position, branch in enumerate(schema.get("anyOf", ())):
            _branch(errs, branch, False, at.child("anyOf").index(position))
    for position, branch in enumerate(schema.get("allOf", ())):
        skip = skip_first and position == 0
        _branch(errs, branch, skip, at.child("allOf").index(position))
    for position, branch in enumerate(schema.get("oneOf", ())):
        _branch(errs, branch, False, at.child("oneOf").index(position))
    if "not" in schema:
        _branch(errs, schema["not"], False, at.child("not"))
    pattern = schema.get("pattern")
    if pattern:
        try:
            regex.pattern(pattern)
        except ValueError as problem:
            detail = f"must be a valid regular expression, but isn't: {problem}"
            errs.append(field.invalid(at.child("pattern"), pattern, detail))


def _branch(errs: Errors, schema: Schema, skip_any: bool, at: Path) -> None:
    """A schema below a junctor: it may have value validations, and no structure."""
    _values(errs, schema, skip_any, False, at)
    if isinstance(schema.get("items"), dict):
        _branch(errs, schema["items"], False, at.child("items"))
    properties = schema.get("properties", {})
    for name, item in properties.items():
        _branch(errs, item, False, at.child("properties").key(name))
    if schema.get("type"):
        errs.append(field.forbidden(at.child("type"), "must be empty to be structural"))
    if schema.get("additionalProperties", False) is not False:
        where = at.child("additionalProperties")
        errs.append(field.forbidden(where, "must be undefined to be structural"))
    for key, how in _FORBIDDEN:
        value = schema.get(key)
        if value or (value is not None and how == "undefined"):
            errs.append(field.forbidden(at.child(key), f"must be {how} to be structural"))
    if "metadata" in properties:
        where = at.child("properties").key("metadata")
        errs.append(field.forbidden(where, "must not be specified in a nested context"))


def _completeness(
    errs: Errors, schema: Schema, node: Structural | None, at: Path, values_at: Path
) -> None:
    """All fields that branches name are specified outside of them as well."""
    if node is None:
        errs.append(field.required(at, f"because it is defined in {values_at}"))
        return
    if "not" in schema:
        _branch_completeness(errs, schema["not"], node, at, values_at.child("not"))
    for key in _JUNCTORS:
        for position, branch in enumerate(schema.get(key, ())):
            here = values_at.child(key).index(position)
            _branch_completeness(errs, branch, node, at, here)


def _branch_completeness(
    errs: Errors, branch: Schema, node: Structural | None, at: Path, values_at: Path
) -> None:
    if node is None:
        errs.append(field.required(at, f"because it is defined in {values_at}"))
        return
    _completeness(errs, branch, node, at, values_at)
    items: Any = branch.get("items")
    if items is not None:
        where = values_at.child("items")
        _branch_completeness(errs, items, node.items, at.child("items"), where)
    for name, item in branch.get("properties", {}).items():
        here = at.child("properties").key(name)
        where = values_at.child("properties").key(name)
        _branch_completeness(errs, item, node.properties.get(name), here, where)
