"""The standard library: operators, conversions, strings, times.

Out: ``OVERLOADS``. Called by: ``environment``. Rules: cel-spec, cel-go ``common/stdlib``.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any, Final

from .. import regex, times, values
from .. import types as t
from ..errors import EvalError, no_such_overload
from ..functions import Overload, define, method
from ..values import INT_MAX, INT_MIN, UINT_MAX, Duration, Timestamp, TypeValue, Uint

_BOOL, _INT, _UINT, _DOUBLE = t.BOOL, t.INT, t.UINT, t.DOUBLE
_STRING, _BYTES, _DURATION, _TIMESTAMP = t.STRING, t.BYTES, t.DURATION, t.TIMESTAMP


def _int(op: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def checked(a: int, b: int) -> int:
        r = op(a, b)
        if INT_MIN <= r <= INT_MAX:
            return r
        raise EvalError("integer overflow")

    return checked


def _uint(op: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def checked(a: int, b: int) -> int:
        r = op(int(a), int(b))
        if 0 <= r <= UINT_MAX:
            return Uint(r)
        raise EvalError("unsigned integer overflow")

    return checked


def _divide(a: int, b: int) -> int:
    if b == 0:
        raise EvalError("division by zero")
    r = abs(a) // abs(b)
    return r if (a < 0) == (b < 0) else -r


def _modulo(a: int, b: int) -> int:
    if b == 0:
        raise EvalError("modulus by zero")
    if a == INT_MIN and b == -1:
        raise EvalError("integer overflow")
    r = abs(a) % abs(b)
    return -r if a < 0 else r


def _divide_double(a: float, b: float) -> float:
    if b == 0:
        if a == 0 or a != a:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def _negate(a: int) -> int:
    if a == INT_MIN:
        raise EvalError("integer overflow")
    return -a


def within(a: Any, b: Any) -> bool:
    """Whether the list ``b`` has an element equal to ``a``."""
    if type(a) is str:
        return a in b
    return any(values.equal(a, x) for x in b)


def in_map(key: Any, m: dict[Any, Any]) -> bool:
    """Whether the map has the key."""
    return values.find(m, key)[0]


def _comparisons() -> list[Overload]:
    ordered = [
        ("bool", _BOOL), ("int64", _INT), ("uint64", _UINT), ("double", _DOUBLE),
        ("string", _STRING), ("bytes", _BYTES), ("timestamp", _TIMESTAMP), ("duration", _DURATION),
    ]  # fmt: skip
    mixed = [("int64", _INT), ("uint64", _UINT), ("double", _DOUBLE)]
    out = []
    for name, word, op in (
        ("_<_", "less", operator.lt),
        ("_<=_", "less_equals", operator.le),
        ("_>_", "greater", operator.gt),
        ("_>=_", "greater_equals", operator.ge),
    ):

        def slow(a: Any, b: Any, op: Callable[[int, int], bool] = op) -> bool:
            return op(values.compare(a, b), 0)

        plain = frozenset({"bool", "int64", "uint64", "string", "bytes"})
        for kind, type_ in ordered:
            fast = op if kind in plain else slow
            out.append(define(name, f"{word}_{kind}", (type_, type_), _BOOL, fast))
            for other, second in mixed:
                if kind in ("int64", "uint64", "double") and other != kind:
                    id_ = f"{word}_{kind}_{other}"
                    out.append(define(name, id_, (type_, second), _BOOL, slow))
    return out


def _failed(a: str, b: str) -> EvalError:
    return EvalError(f"type conversion error from '{a}' to '{b}'")


def _double_to_int(x: float) -> int:
    if math.isfinite(x) and -(2.0**63) < x < 2.0**63:
        return int(x)
    raise EvalError("integer overflow")


def _double_to_uint(x: float) -> int:
    if math.isfinite(x) and 0 <= x < 2.0**64:
        return Uint(int(x))
    raise EvalError("unsigned integer overflow")


def _uint_to_int(x: int) -> int:
    if x > INT_MAX:
        raise EvalError("integer overflow")
    return int(x)


def _int_to_uint(x: int) -> int:
    if x < 0:
        raise EvalError("unsigned integer overflow")
    return Uint(x)


_SIGNED: Final = re.compile(r"[+-]?[0-9]+", re.ASCII).fullmatch
_UNSIGNED: Final = re.compile(r"[0-9]+", re.ASCII).fullmatch
_FLOAT: Final = re.compile(
    r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?inf(?:inity)?|nan",
    re.ASCII | re.IGNORECASE,
).fullmatch


def _string_to_int(s: str) -> int:
    if len(s) < 40 and _SIGNED(s) and INT_MIN <= (n := int(s)) <= INT_MAX:
        return n
    raise _failed("string", "int")


def _string_to_uint(s: str) -> int:
    if len(s) < 40 and _UNSIGNED(s) and (n := int(s)) <= UINT_MAX:
        return Uint(n)
    raise _failed("string", "uint")


def _string_to_double(s: str) -> float:
    if _FLOAT(s):
        x = float(s)
        if math.isfinite(x) or "n" in s.lower():
            return x
    raise _failed("string", "double")


_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def _string_to_bool(s: str) -> bool:
    if s in _TRUE or s in _FALSE:
        return s in _TRUE
    raise _failed("string", "bool")


def _string_to_duration(s: str) -> Duration:
    try:
        return times.parse_duration(s)
    except ValueError:
        raise _failed("string", "google.protobuf.Duration") from None


def _string_to_timestamp(s: str) -> Timestamp:
    try:
        return times.parse_timestamp(s)
    except ValueError:
        raise _failed("string", "google.protobuf.Timestamp") from None


def _bytes_to_string(b: bytes) -> str:
    try:
        return b.decode()
    except UnicodeDecodeError:
        raise EvalError("invalid UTF-8 in bytes, cannot convert to string") from None


def _int_to_timestamp(n: int) -> Timestamp:
    return times.checked_timestamp(n * 10**9, 0)


def _same(v: Any) -> Any:
    return v


def type_of(v: Any) -> TypeValue:
    """The value of ``type(v)``."""
    return TypeValue(values.type_name(v))


def _conversions() -> list[Overload]:
    rows: list[tuple[str, str, t.Type, t.Type, Callable[[Any], Any]]] = [
        ("bool", "bool_to_bool", _BOOL, _BOOL, _same),
        ("bool", "string_to_bool", _STRING, _BOOL, _string_to_bool),
        ("bytes", "bytes_to_bytes", _BYTES, _BYTES, _same),
        ("bytes", "string_to_bytes", _STRING, _BYTES, str.encode),
        ("double", "double_to_double", _DOUBLE, _DOUBLE, _same),
        ("double", "int64_to_double", _INT, _DOUBLE, float),
        ("double", "string_to_double", _STRING, _DOUBLE, _string_to_double),
        ("double", "uint64_to_double", _UINT, _DOUBLE, float),
        ("duration", "duration_to_duration", _DURATION, _DURATION, _same),
        ("duration", "int64_to_duration", _INT, _DURATION, Duration),
        ("duration", "string_to_duration", _STRING, _DURATION, _string_to_duration),
        ("dyn", "to_dyn", t.A, t.DYN, _same),
        ("int", "int64_to_int64", _INT, _INT, _same),
        ("int", "double_to_int64", _DOUBLE, _INT, _double_to_int),
        ("int", "duration_to_int64", _DURATION, _INT, lambda d: d.ns),
        ("int", "string_to_int64", _STRING, _INT, _string_to_int),
        ("int", "timestamp_to_int64", _TIMESTAMP, _INT, lambda x: x.ns // 10**9),
        ("int", "uint64_to_int64", _UINT, _INT, _uint_to_int),
        ("string", "string_to_string", _STRING, _STRING, _same),
        ("string", "bool_to_string", _BOOL, _STRING, lambda b: "true" if b else "false"),
        ("string", "bytes_to_string", _BYTES, _STRING, _bytes_to_string),
        ("string", "double_to_string", _DOUBLE, _STRING, values.double_text),
        ("string", "duration_to_string", _DURATION, _STRING, times.duration_text),
        ("string", "int64_to_string", _INT, _STRING, str),
        ("string", "timestamp_to_string", _TIMESTAMP, _STRING, times.timestamp_text),
        ("string", "uint64_to_string", _UINT, _STRING, lambda n: str(int(n))),
        ("timestamp", "timestamp_to_timestamp", _TIMESTAMP, _TIMESTAMP, _same),
        ("timestamp", "int64_to_timestamp", _INT, _TIMESTAMP, _int_to_timestamp),
        ("timestamp", "string_to_timestamp", _STRING, _TIMESTAMP, _string_to_timestamp),
        ("uint", "uint64_to_uint64", _UINT, _UINT, _same),
        ("uint", "double_to_uint64", _DOUBLE, _UINT, _double_to_uint),
        ("uint", "int64_to_uint64", _INT, _UINT, _int_to_uint),
        ("uint", "string_to_uint64", _STRING, _UINT, _string_to_uint),
    ]
    out = [define(name, id_, (a,), r, impl) for name, id_, a, r, impl in rows]
    out.append(define("type", "type", (t.A,), t.type_of(t.A), type_of))
    return out


CONVERSIONS: Final = frozenset(
    {"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"}
)
"""Functions that are evaluated before the program runs when their argument is a literal."""


def _add_span(a: Timestamp, b: Duration) -> Timestamp:
    return times.checked_timestamp(a.ns + b.ns, a.offset)


def _arithmetic() -> list[Overload]:
    rows: list[tuple[str, str, tuple[t.Type, ...], t.Type, Callable[..., Any]]] = [
        ("_+_", "add_bytes", (_BYTES, _BYTES), _BYTES, operator.add),
        ("_+_", "add_double", (_DOUBLE, _DOUBLE), _DOUBLE, operator.add),
        ("_+_", "add_duration_duration", (_DURATION, _DURATION), _DURATION,
         lambda a, b: times.checked_duration(a.ns + b.ns)),
        ("_+_", "add_duration_timestamp", (_DURATION, _TIMESTAMP), _TIMESTAMP,
         lambda a, b: _add_span(b, a)),
        ("_+_", "add_timestamp_duration", (_TIMESTAMP, _DURATION), _TIMESTAMP, _add_span),
        ("_+_", "add_int64", (_INT, _INT), _INT, _int(operator.add)),
        ("_+_", "add_list", (t.LIST_A, t.LIST_A), t.LIST_A, values.concat),
        ("_+_", "add_string", (_STRING, _STRING), _STRING, operator.add),
        ("_+_", "add_uint64", (_UINT, _UINT), _UINT, _uint(operator.add)),
        ("_/_", "divide_double", (_DOUBLE, _DOUBLE), _DOUBLE, _divide_double),
        ("_/_", "divide_int64", (_INT, _INT), _INT, _int(_divide)),
        ("_/_", "divide_uint64", (_UINT, _UINT), _UINT, _uint(_divide)),
        ("_%_", "modulo_int64", (_INT, _INT), _INT, _modulo),
        ("_%_", "modulo_uint64", (_UINT, _UINT), _UINT, _uint(_modulo)),
        ("_*_", "multiply_double", (_DOUBLE, _DOUBLE), _DOUBLE, operator.mul),
        ("_*_", "multiply_int64", (_INT, _INT), _INT, _int(operator.mul)),
        ("_*_", "multiply_uint64", (_UINT, _UINT), _UINT, _uint(operator.mul)),
        ("-_", "negate_double", (_DOUBLE,), _DOUBLE, operator.neg),
        ("-_", "negate_int64", (_INT,), _INT, _negate),
        ("_-_", "subtract_double", (_DOUBLE, _DOUBLE), _DOUBLE, operator.sub),
        ("_-_", "subtract_duration_duration", (_DURATION, _DURATION), _DURATION,
         lambda a, b: times.checked_duration(a.ns - b.ns)),
        ("_-_", "subtract_int64", (_INT, _INT), _INT, _int(operator.sub)),
        ("_-_", "subtract_timestamp_duration", (_TIMESTAMP, _DURATION), _TIMESTAMP,
         lambda a, b: times.checked_timestamp(a.ns - b.ns, a.offset)),
        ("_-_", "subtract_timestamp_timestamp", (_TIMESTAMP, _TIMESTAMP), _DURATION,
         lambda a, b: times.checked_duration(a.ns - b.ns)),
        ("_-_", "subtract_uint64", (_UINT, _UINT), _UINT, _uint(operator.sub)),
    ]  # fmt: skip
    return [define(*row) for row in rows]


def _sizes() -> list[Overload]:
    out = []
    for kind, type_ in (
        ("bytes", _BYTES), ("list", t.LIST_A), ("map", t.MAP_AB), ("string", _STRING),
    ):  # fmt: skip
        out.append(define("size", f"size_{kind}", (type_,), _INT, len))
        out.append(method("size", f"{kind}_size", (type_,), _INT, len))
    return out


def _time_parts() -> list[Overload]:
    ids = {
        "getFullYear": "year", "getMonth": "month", "getDayOfYear": "day_of_year",
        "getDayOfMonth": "day_of_month", "getDate": "day_of_month_1_based",
        "getDayOfWeek": "day_of_week", "getHours": "hours", "getMinutes": "minutes",
        "getSeconds": "seconds", "getMilliseconds": "milliseconds",
    }  # fmt: skip
    out = []
    for name, word in ids.items():
        of = times.part(name)
        out.append(method(name, f"timestamp_to_{word}", (_TIMESTAMP,), _INT, of))
        with_zone = (_TIMESTAMP, _STRING)
        out.append(method(name, f"timestamp_to_{word}_with_tz", with_zone, _INT, of))
        if name in times.DURATION_PARTS:
            of_span = times.DURATION_PARTS[name]
            out.append(method(name, f"duration_to_{word}", (_DURATION,), _INT, of_span))
    return out


def _not(v: Any) -> bool:
    if v is True or v is False:
        return not v
    raise no_such_overload()


def _strings() -> list[Overload]:
    two = (_STRING, _STRING)
    return [
        method("contains", "contains_string", two, _BOOL, lambda s, x: x in s),
        method("endsWith", "ends_with_string", two, _BOOL, str.endswith),
        method("startsWith", "starts_with_string", two, _BOOL, str.startswith),
        define("matches", "matches", two, _BOOL, regex.matches),
        method("matches", "matches_string", two, _BOOL, regex.matches),
    ]


def _not_equal(a: Any, b: Any) -> bool:
    return not values.equal(a, b)


OVERLOADS: Final[list[Overload]] = [
    define("_?_:_", "conditional", (_BOOL, t.A, t.A), t.A, None),
    define("_&&_", "logical_and", (_BOOL, _BOOL), _BOOL, None),
    define("_||_", "logical_or", (_BOOL, _BOOL), _BOOL, None),
    define("!_", "logical_not", (_BOOL,), _BOOL, _not),
    define("@not_strictly_false", "not_strictly_false", (_BOOL,), _BOOL, None),
    define("_==_", "equals", (t.A, t.A), _BOOL, values.equal),
    define("_!=_", "not_equals", (t.A, t.A), _BOOL, _not_equal),
    *_arithmetic(),
    *_comparisons(),
    define("_[_]", "index_list", (t.LIST_A, _INT), t.A, None),
    define("_[_]", "index_map", (t.MAP_AB, t.A), t.B, None),
    define("@in", "in_list", (t.A, t.LIST_A), _BOOL, within),
    define("@in", "in_map", (t.A, t.MAP_AB), _BOOL, in_map),
    *_sizes(),
    *_conversions(),
    *_strings(),
    *_time_parts(),
]
