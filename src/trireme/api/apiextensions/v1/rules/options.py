"""How strict a definition's rules are: on update, what is stored already may keep its errors.

Upstream: apiextensions validation.go validationOptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from trireme.api.apiextensions.schema import check, checkdefaults, structural
from trireme.api.apiextensions.schema.structural import NotStructural, Schema
from trireme.api.apiextensions.v1 import types
from trireme.api.apiextensions.v1.rules.hoisted import Hoisted
from trireme.api.apiextensions.v1.types import CustomResourceDefinition
from trireme.machinery.field import Path

OPENAPI_TYPES = ("array", "boolean", "integer", "number", "object", "string")
REVIEW_VERSIONS = ("v1", "v1beta1")
MAX_SELECTABLE = 8


@dataclass
class Options:
    """Every flag is the strict value, which holds on create."""

    review_version: bool = True
    fixed_names: bool = False
    schema_required: bool = True
    known_types: bool = True
    structural: bool = True
    pruned_defaults: bool = True
    atomic_sets: bool = True
    map_keys: bool = True
    any_authority: bool = True
    # Versions ("" the top) whose too many selectable fields were there before.
    many_selectable: frozenset[str] = frozenset()
    # Expressions that were accepted before, and versions whose schema did not change.
    old_rules: frozenset[str] = frozenset()
    old_messages: frozenset[str] = frozenset()
    unchanged: frozenset[str] = field(default_factory=frozenset)


def for_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> Options:
    """What the stored definition violates stays accepted."""
    before = Hoisted(old.spec)
    schemas = before.schemas()
    conversion = old.spec.conversion
    webhook = None if conversion is None else conversion.webhook
    reviews = [] if webhook is None else webhook.conversionReviewVersions
    now = {version.name: version for version in new.spec.versions}
    unchanged = {
        version.name
        for version in old.spec.versions
        if version.name in now and now[version.name].schema == version.schema
    }
    every = [item for schema in schemas for item in walk(schema)]
    rules = [rule for item in every for rule in item.get("x-kubernetes-validations", ())]
    return Options(
        review_version=not reviews or any(item in REVIEW_VERSIONS for item in reviews),
        fixed_names=types.is_true(old.status, types.ESTABLISHED),
        schema_required=all(part.schema is not None for part in before.whole),
        known_types=not any(item.get("type", "object") not in OPENAPI_TYPES for item in every),
        structural=not any(map(_is_loose, schemas)),
        pruned_defaults=all(map(_is_pruned, schemas)),
        atomic_sets=not any(map(is_loose_set, every)),
        map_keys=not any(map(has_loose_keys, every)),
        any_authority=not types.is_true(old.status, types.ESTABLISHED),
        many_selectable=_many_selectable(new, old),
        old_rules=frozenset(rule["rule"] for rule in rules),
        old_messages=frozenset(
            rule["messageExpression"] for rule in rules if rule.get("messageExpression")
        ),
        unchanged=frozenset(unchanged),
    )


def walk(schema: Schema) -> Iterator[Schema]:
    """A schema and every schema inside it."""
    yield schema
    for key in ("allOf", "anyOf", "oneOf"):
        for item in schema.get(key, ()):
            yield from walk(item)
    for key in ("properties", "patternProperties", "definitions"):
        for item in schema.get(key, {}).values():
            yield from walk(item)
    for key in ("items", "not", "additionalProperties", "additionalItems"):
        below = schema.get(key)
        for item in below if isinstance(below, list) else [below]:
            if isinstance(item, dict):
                yield from walk(item)
    for item in schema.get("dependencies", {}).values():
        if isinstance(item, dict):
            yield from walk(item)


def has(schemas: list[Schema], what: Callable[[Schema], bool]) -> bool:
    """Whether any schema inside any of these is so."""
    return any(what(item) for schema in schemas for item in walk(schema))


def has_extensions(schema: Schema) -> bool:
    """Whether the schema has ``x-kubernetes-*`` extensions."""
    return any(
        schema.get(key)
        for key in (
            "x-kubernetes-embedded-resource",
            "x-kubernetes-int-or-string",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-validations",
        )
    ) or any(
        schema.get(key) is not None
        for key in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type")
    )


def is_loose_set(schema: Schema) -> bool:
    """A set whose items are not replaced as a whole."""
    items = schema.get("items")
    if schema.get("x-kubernetes-list-type") != "set" or not isinstance(items, dict):
        return False
    if items.get("type") == "array":
        return bool(items.get("x-kubernetes-list-type", "atomic") != "atomic")
    return items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic"


def has_loose_keys(schema: Schema) -> bool:
    """A set or map whose items or keys may be null or absent."""
    items = schema.get("items")
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map") or not isinstance(items, dict):
        return False
    if items.get("nullable"):
        return True
    if kind == "set":
        return False
    properties, required = items.get("properties", {}), items.get("required", ())
    return any(
        key in properties
        and (
            properties[key].get("nullable")
            or (key not in required and properties[key].get("default") is None)
        )
        for key in schema.get("x-kubernetes-list-map-keys", ())
    )


def _is_loose(schema: Schema) -> bool:
    try:
        return bool(check.validate(structural.of(schema), Path("")))
    except NotStructural:
        return True


def _is_pruned(schema: Schema) -> bool:
    if not has([schema], lambda item: item.get("default") is not None):
        return True
    try:
        return checkdefaults.are_pruned(structural.root(schema))
    except NotStructural:
        return True


def _many_selectable(
    new: CustomResourceDefinition, old: CustomResourceDefinition
) -> frozenset[str]:
    now, before = Hoisted(new.spec), Hoisted(old.spec)
    found: set[str] = set()
    top = before.top.selectable
    if len(top) > MAX_SELECTABLE and now.top.selectable == top:
        found.add("")
    parts = {
        version.name: part for version, part in zip(old.spec.versions, before.parts, strict=True)
    }
    for version, part in zip(new.spec.versions, now.parts, strict=True):
        was = parts.get(version.name)
        same = was is not None and part.selectable == was.selectable
        if same and len(part.selectable) > MAX_SELECTABLE:
            found.add(version.name)
    return frozenset(found)
