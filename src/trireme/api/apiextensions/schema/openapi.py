"""Validation of a value against a schema, with every keyword that Kubernetes takes.

In: a schema as plain JSON, compiled once into a ``Checker``; a value, and on update the old one.
Out: field errors in upstream's words. Rules: JSON schema as kube-openapi's validator reads it;
an update tolerates errors in what it does not change (KEP-4008).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from trireme.api.apiextensions.schema import formats
from trireme.api.apiextensions.schema.numbers import bounds, is_whole
from trireme.api.apiextensions.schema.result import NO_FIELD, Result
from trireme.expr.cel import regex
from trireme.machinery import field, gotext
from trireme.machinery.field import FieldError, Path

Schema = dict[str, Any]

_ABSENT: Final = object()
_NOTHING: Final[Mapping[str, Any]] = {}
_INT64: Final = (-(2**63), 2**63 - 1)


class Correlated:
    """A new value and the old one that stands in its place. Equality is decided at most once."""

    __slots__ = ("_equal", "new", "old")

    def __init__(self, new: Any, old: Any) -> None:
        self.new, self.old = new, old
        self._equal: bool | None = None

    def equal(self) -> bool:
        if self._equal is None:
            self._equal = same(self.new, self.old)
        return self._equal


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; unlike Python's, 1, 1.0 and true differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            key in other and same(item, other[key]) for key, item in one.items()
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


class Checker:
    """One schema node, compiled. ``structural``: read from a structural schema, where
    x-kubernetes-int-or-string is no type of its own."""

    __slots__ = (
        "_additional",
        "_all_of",
        "_any_of",
        "_bounds",
        "_closed",
        "_enum",
        "_format",
        "_format_check",
        "_items",
        "_list_keys",
        "_list_type",
        "_max_items",
        "_max_length",
        "_max_properties",
        "_min_items",
        "_min_length",
        "_min_properties",
        "_not",
        "_nullable",
        "_one_of",
        "_pattern",
        "_required",
        "_typed",
        "_types",
        "_unique",
        "properties",
    )

    def __init__(self, schema: Schema, *, structural: bool = False) -> None:
        self._list_type = schema.get("x-kubernetes-list-type", "")
        self._list_keys: Sequence[str] = schema.get("x-kubernetes-list-map-keys", ())
        kind = schema.get("type", "")
        either = schema.get("x-kubernetes-int-or-string", False) and not structural
        self._types: tuple[str, ...] = ("integer", "string") if either else (kind,) if kind else ()
        self._nullable = schema.get("nullable", False)
        self._format = schema.get("format", "") if structural else _format(schema, either)
        self._format_check = formats.check(self._format) if self._format else None
        self._max_length: int | None = schema.get("maxLength")
        self._min_length: int | None = schema.get("minLength")
        self._pattern: str = schema.get("pattern", "")
        self._bounds = bounds(schema, self._types, self._format)
        self._enum: Sequence[Any] = schema.get("enum", ())

        def sub(item: Schema) -> Checker:
            return Checker(item, structural=structural)

        self._max_items: int | None = schema.get("maxItems")
        self._min_items: int | None = schema.get("minItems")
        self._unique = schema.get("uniqueItems", False)
        items = schema.get("items")
        self._items = sub(items) if isinstance(items, dict) else None
        self._max_properties: int | None = schema.get("maxProperties")
        self._min_properties: int | None = schema.get("minProperties")
        self._required: Sequence[str] = schema.get("required", ())
        below = {name: sub(item) for name, item in schema.get("properties", {}).items()}
        self.properties: Mapping[str, Checker] = below or _NOTHING
        more = schema.get("additionalProperties")
        self._closed = more is False
        self._additional = sub(more) if isinstance(more, dict) else None
        self._any_of = tuple(sub(item) for item in schema.get("anyOf", ()))
        self._one_of = tuple(sub(item) for item in schema.get("oneOf", ()))
        self._all_of = tuple(sub(item) for item in schema.get("allOf", ()))
        self._not = sub(schema["not"]) if "not" in schema else None
        self._typed = bool(self._types or self._format)

    def validate(self, value: Any, at: Path | None = None) -> list[FieldError]:
        """Errors in a value on its own."""
        return list((self._check(value, "", _Context(at), None).errors or {}).values())

    def validate_update(self, value: Any, old: Any, at: Path | None = None) -> list[FieldError]:
        """Errors in a value, but for those in parts that are as they were in ``old``."""
        result = self._ratcheted(value, "", _Context(at), Correlated(value, old))
        return list((result.errors or {}).values())

    def _ratcheted(self, value: Any, at: str, context: _Context, pair: Correlated | None) -> Result:
        """As a part of its own: when nothing changed in it, its errors do not count."""
        result = self._check(value, at, context, pair)
        if result.errors and pair is not None and pair.equal():
            result.errors = None
        return result

    def _check(self, value: Any, at: str, context: _Context, pair: Correlated | None) -> Result:
        result = Result()
        if value is None:
            self._check_null(result, at, context)
            return result
        kind = type(value)
        if self._typed:
            self._check_type(result, value, at, context)
            result.matched += 1
        if self._any_of or self._one_of or self._all_of or self._not is not None:
            self._check_branches(result, value, at, context, pair)
        result.matched += 2
        if kind is str:
            self._check_string(result, value, at, context)
            result.matched += 1
            if self._format_check is not None:
                if not self._format_check(value):
                    text = f"{at} in body must be of type {self._format}: {gotext.quote(value)}"
                    result.add(text, context.type_invalid(at, value, text))
                result.matched += 1
        elif kind is int or kind is float:
            self._bounds.check(result, value, at, context)
            result.matched += 2
        elif kind is list:
            self._check_list(result, value, at, context, pair)
            result.matched += 2
        if self._enum:
            self._check_enum(result, value, at, context)
        result.matched += 1
        if kind is dict:
            self._check_object(result, value, at, context, pair)
            result.matched += 1
        result.matched += 1
        return result

    def _check_null(self, result: Result, at: str, context: _Context) -> None:
        if self._types and not self._nullable:
            what = ",".join(self._types)
            text = f'{at} in body must be of type {what}: "null"'
            result.add(text, context.type_invalid(at, "null", text))
        else:
            result.matched += 1
        if self._enum:
            self._check_enum(result, None, at, context)

    def _check_type(self, result: Result, value: Any, at: str, context: _Context) -> None:
        is_kind, its_format = _kind_of(value)
        types, format_ = self._types, self._format
        numeric = "number" in types or "integer" in types
        whole = type(value) is float and is_whole(value) and "integer" in types
        fits = is_kind in types or whole or (is_kind == "integer" and "number" in types)
        texts = is_kind in ("string", "array")
        if format_ and not texts and not fits and format_ != its_format:
            text = f"{at} in body must be of type {format_}: {gotext.quote(its_format)}"
            result.add(text, context.type_invalid(at, its_format, text))
        elif format_ and texts and not numeric:
            result.matched += 1
        elif not fits:
            text = f"{at} in body must be of type {','.join(types)}: {gotext.quote(is_kind)}"
            result.add(text, context.type_invalid(at, is_kind, text))
        else:
            result.matched += 1

    def _check_string(self, result: Result, value: str, at: str, context: _Context) -> None:
        if self._max_length is not None and len(value) > self._max_length:
            text = f"{at} in body should be at most {self._max_length} chars long"
            result.add(text, field.too_long(context.path(at), self._max_length))
        elif self._min_length is not None and len(value) < self._min_length:
            context.invalid(result, at, value, f"should be at least {self._min_length} chars long")
        elif self._pattern:
            try:
                matches = regex.pattern(self._pattern).search(value) is not None
                pattern = self._pattern
            except ValueError as problem:
                matches, pattern = False, f"{self._pattern}, but pattern is invalid: {problem}"
            if not matches:
                context.invalid(result, at, value, f"should match '{pattern}'")

    def _check_enum(self, result: Result, value: Any, at: str, context: _Context) -> None:
        if any(_is_enum(value, item) for item in self._enum):
            return
        supported = [item if isinstance(item, str) else gotext.json(item) for item in self._enum]
        text = f"{at} in body should be one of {gotext.plain(self._enum)}"
        result.add(text, context.error(field.not_supported, at, value, supported))

    def _check_list(
        self, result: Result, value: list[Any], at: str, context: _Context, pair: Correlated | None
    ) -> None:
        if self._items is not None:
            olds = self._old_items(value, pair)
            for position, item in enumerate(value):
                below = None
                if olds is not None:
                    old = olds.get(map_key(item, self._list_keys), _ABSENT)
                    below = None if old is _ABSENT else Correlated(item, old)
                result.merge(self._items._ratcheted(item, f"{at}[{position}]", context, below))
        size = len(value)
        if self._min_items is not None and size < self._min_items:
            context.invalid(result, at, size, f"should have at least {self._min_items} items")
        if self._max_items is not None and size > self._max_items:
            text = f"{at} in body should have at most {self._max_items} items"
            result.add(text, field.too_many(context.path(at), size, self._max_items))
        if self._unique and _has_duplicates(value):
            context.invalid(result, at, "", "shouldn't contain duplicates")

    def _old_items(self, value: list[Any], pair: Correlated | None) -> dict[Any, Any] | None:
        """The old items by their keys, where the list is a map."""
        if pair is None or self._list_type != "map" or not isinstance(pair.old, list):
            return None
        return {map_key(item, self._list_keys): item for item in reversed(pair.old)}

    def _check_object(
        self,
        result: Result,
        value: dict[str, Any],
        at: str,
        context: _Context,
        pair: Correlated | None,
    ) -> None:
        size = len(value)
        if self._min_properties is not None and size < self._min_properties:
            detail = f"should have at least {self._min_properties} properties"
            context.invalid(result, at, size, detail)
        if self._max_properties is not None and size > self._max_properties:
            text = f"{at} in body should have at most {self._max_properties} properties"
            result.add(text, field.too_many(context.path(at), size, self._max_properties))
        old: dict[str, Any] | None = None
        if pair is not None and isinstance(pair.old, dict):
            old = pair.old
        properties = self.properties
        for key, item in value.items():
            checker = properties.get(key)
            if checker is not None:
                here = f"{at}.{key}" if at else key
            elif self._closed:
                text = f"{at}.{key} in body is a forbidden property"
                result.add(text, context.error(field.invalid, at, key, text))
                continue
            elif self._additional is not None:
                checker, here = self._additional, f"{at}.{key}"
            else:
                continue
            below = None
            # What an object is cannot be ratcheted: old and new are of one type.
            if old is not None and key in old and (at or key not in ("kind", "apiVersion")):
                below = Correlated(item, old[key])
            result.merge(checker._ratcheted(item, here, context, below))
        for key in self._required:
            if key not in value:
                here = f"{at}.{key}"
                result.add(f"{here} in body is required", field.required(context.path(here)))

    def _check_branches(
        self, result: Result, value: Any, at: str, context: _Context, pair: Correlated | None
    ) -> None:
        quoted = gotext.quote(at)
        if self._any_of:
            tried = self._try(self._any_of, value, at, context, pair, first=True)
            if tried[-1].errors:
                context.general(result, f"{quoted} must validate at least one schema (anyOf)")
                result.merge(_best(tried))
            else:
                result.merge(tried[-1])
        if self._one_of:
            tried = self._try(self._one_of, value, at, context, pair)
            good = [item for item in tried if not item.errors]
            if len(good) != 1:
                detail = f"Found {len(good)} valid alternatives" if good else "Found none valid"
                text = f"{quoted} must validate one and only one schema (oneOf). {detail}"
                context.general(result, text)
                if not good:
                    result.merge(_best(tried))
            else:
                result.merge(good[0])
        if self._all_of:
            tried = self._try(self._all_of, value, at, context, pair)
            for item in tried:
                result.merge(item)
            failed = sum(1 for item in tried if item.errors)
            if failed:
                none = ". None validated" if failed == len(tried) else ""
                text = f"{quoted} must validate all the schemas (allOf){none}"
                context.general(result, text)
        if self._not is not None and not self._not._check(value, at, context, pair).errors:
            context.general(result, f"{quoted} must not validate the schema (not)")

    def _try(
        self,
        branches: Sequence[Checker],
        value: Any,
        at: str,
        context: _Context,
        pair: Correlated | None,
        *,
        first: bool = False,
    ) -> list[Result]:
        """The results of the branches, up to the first good one where that is enough."""
        tried: list[Result] = []
        for branch in branches:
            tried.append(branch._check(value, at, context, pair))
            if first and not tried[-1].errors:
                break
        return tried


class _Context:
    """Where the validated value stands; makes errors from texts."""

    __slots__ = ("_base",)

    def __init__(self, base: Path | None) -> None:
        self._base = base

    def path(self, at: str) -> Path:
        here = at.removeprefix(".")
        if not here:
            return self._base if self._base is not None else Path(NO_FIELD)
        return Path(here) if self._base is None else Path("." + here, self._base)

    def error(
        self, make: Callable[[Path, Any, Any], FieldError], at: str, value: Any, detail: Any
    ) -> FieldError:
        return make(self.path(at), value, detail)

    def type_invalid(self, at: str, value: Any, text: str) -> FieldError:
        return field.type_invalid(self.path(at), value, text)

    def invalid(self, result: Result, at: str, value: Any, message: str) -> None:
        text = f"{at} in body {message}"
        result.add(text, field.invalid(self.path(at), value, text))

    def general(self, result: Result, text: str) -> None:
        """An error that upstream ties to no field."""
        base = self._base if self._base is not None else Path(NO_FIELD)
        result.add(text, field.invalid(base, "", text))


def _format(schema: Schema, either: bool) -> str:
    if either:
        # Two types: only the formats of strings are never taken for them.
        return ""
    return formats.known(schema)


def _kind_of(value: Any) -> tuple[str, str]:
    """The JSON type of a value, and the format that its size suggests."""
    kind = type(value)
    if kind is str:
        return "string", ""
    if kind is bool:
        return "boolean", ""
    if kind is int:
        return ("integer", "int64") if _INT64[0] <= value <= _INT64[1] else ("number", "float64")
    if kind is float:
        return "number", "float64"
    return ("array", "") if kind is list else ("object", "")


def _is_enum(value: Any, item: Any) -> bool:
    """Equality after the conversion that Go's reflection makes between numbers."""
    if type(value) in (int, float) and type(item) in (int, float):
        return bool(int(value) == item if type(item) is int else float(value) == item)
    return item is not None and same(value, item)


def _best(tried: list[Result]) -> Result:
    best = tried[0]
    for item in tried[1:]:
        if item.matched > best.matched:
            best = item
    return best


def _has_duplicates(items: list[Any]) -> bool:
    return any(same(item, other) for at, item in enumerate(items) for other in items[:at])


def map_key(item: Any, keys: Sequence[str]) -> Any:
    """What identifies an item of a list that is a map; None for what is no object."""
    if not isinstance(item, dict):
        return None
    return tuple(gotext.json(item[key]) if key in item else None for key in keys)
