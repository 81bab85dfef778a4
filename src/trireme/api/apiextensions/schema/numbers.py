"""The bounds of a number: multipleOf, minimum, maximum, and what its format can hold.

In: a schema, once; then numbers. Out: errors added to a ``Result``. Rules: kube-openapi
validate numberValidator; messages show integers and floats as Go prints them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from trireme.api.apiextensions.schema.result import Result
from trireme.machinery import field, gotext

_INT32: Final = (-(2**31), 2**31 - 1)
_INT64: Final = (-(2**63), 2**63 - 1)
_MAX_FLOAT32: Final = 3.40282346638528859811704183484516925440e38


def bounds(schema: dict[str, Any], types: tuple[str, ...], format_: str) -> Bounds:
    """What a schema says about numbers; most say nothing, and share that."""
    if types in (("integer",), ("number",)) or not _KEYS.isdisjoint(schema):
        return Bounds(schema, types, format_)
    return _NONE


class Bounds:
    """What one schema says about numbers."""

    __slots__ = ("_above", "_below", "_format", "_maximum", "_minimum", "_multiple", "_type")

    def __init__(self, schema: dict[str, Any], types: tuple[str, ...], format_: str) -> None:
        self._type = types[0] if len(types) == 1 and types[0] in ("integer", "number") else ""
        self._format = format_ if self._type else ""
        self._multiple = schema.get("multipleOf")
        self._maximum = schema.get("maximum")
        self._below = schema.get("exclusiveMaximum", False)
        self._minimum = schema.get("minimum")
        self._above = schema.get("exclusiveMinimum", False)

    def check(self, result: Result, value: int | float, at: str, context: Any) -> None:
        """Add what is wrong with ``value``."""
        self._in_range(result, value, at, context, "Checked")
        if self._multiple is not None:
            self._check_multiple(result, value, at, context)
        if self._minimum is not None:
            self._check_bound(result, value, at, context, self._minimum, "Minimum boundary")
        if self._maximum is not None:
            self._check_bound(result, value, at, context, self._maximum, "Maximum boundary")

    def _check_multiple(self, result: Result, value: int | float, at: str, context: Any) -> None:
        factor = float(self._multiple or 0)
        native = self._in_range(result, factor, at, context, "MultipleOf")
        if native and type(value) is int:
            whole = int(factor)
            if whole <= 0:
                text = f"factor MultipleOf declared for {at} must be positive: {whole}"
                result.add(text, context.error(field.invalid, at, whole, text))
            elif value % whole:
                context.invalid(result, at, value, f"should be a multiple of {whole}")
            return
        if factor <= 0:
            printed = gotext.number(factor)
            text = f"factor MultipleOf declared for {at} must be positive: {printed}"
            result.add(text, context.error(field.invalid, at, factor, text))
            return
        ratio = 1 / factor * value if factor < 1 else value / factor
        if not is_whole(ratio):
            printed = gotext.number(factor)
            context.invalid(result, at, float(value), f"should be a multiple of {printed}")

    def _check_bound(
        self, result: Result, value: int | float, at: str, context: Any, bound: Any, what: str
    ) -> None:
        limit: int | float = float(bound)
        printed = gotext.number(limit)
        native = self._in_range(result, limit, at, context, what)
        if native and type(value) is int:
            limit = int(limit)
            printed = str(limit)
        elif not native or type(value) is float:
            value = float(value)
        if what.startswith("Max"):
            bad = value >= limit if self._below else value > limit
            word = "less than" if self._below else "less than or equal to"
        else:
            bad = value <= limit if self._above else value < limit
            word = "greater than" if self._above else "greater than or equal to"
        if bad:
            context.invalid(result, at, value, f"should be {word} {printed}")

    def _in_range(
        self, result: Result, value: int | float, at: str, context: Any, what: str
    ) -> bool:
        """Whether the type and format can hold ``value``; an error where they cannot."""
        if self._type == "integer":
            low, high = _INT32 if self._format == "int32" else _INT64
            good = float(value).is_integer() and low <= _written(value) <= high
        elif self._format == "float":
            good = abs(value) <= _MAX_FLOAT32
        else:
            good = True
        if not good:
            form = f"with format {self._format}" if self._format else "(default format)"
            text = f"{what} value must be of type {self._type} {form} in {at}"
            context.general(result, text)
        return good


def _written(value: int | float) -> int:
    """A whole number as Go writes it: of a float, the digits that tell it from others."""
    return value if type(value) is int else int(Decimal(repr(value)))


def is_whole(value: float) -> bool:
    """Whether a float is an integer, with the tolerance of upstream's library."""
    if value != value or value in (float("inf"), float("-inf")):
        return False
    if abs(value) > 2**53 - 1:
        return False
    nearest = round(value)
    if value == nearest:
        return True
    return nearest != 0 and abs(value - nearest) < 1e-9 * abs(nearest)


_KEYS: Final = frozenset(
    ("multipleOf", "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum")
)
_NONE: Final = Bounds({}, (), "")
