"""The values of expressions, and how they compare.

JSON's values stand for themselves (dict, list, str, int, float, bool, None) and ``bytes`` for
bytes; this module adds the types that Python or JSON does not tell apart. Called by: every stage of
an evaluation. Rules: cel-spec ``langdef`` (equality, ordering), cel-go ``common/types``.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from .errors import EvalError, no_such_overload

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1
UINT_MAX: Final = (1 << 64) - 1


class Uint(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


class Duration:
    """A span of time in nanoseconds."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.ns == other.ns

    def __hash__(self) -> int:
        return hash(self.ns)


class Timestamp:
    """An instant: nanoseconds since 1970 UTC, and the offset in seconds to print it with."""

    __slots__ = ("ns", "offset")

    def __init__(self, ns: int, offset: int = 0) -> None:
        self.ns = ns
        self.offset = offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and self.ns == other.ns

    def __hash__(self) -> int:
        return hash(self.ns)


class TypeValue:
    """The value of a type's name, such as ``int``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeValue) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class Optional:
    """A value that may be absent (``NONE``)."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self) -> Any:
        """The value; an error when there is none."""
        if self is NONE:
            raise EvalError("optional.none() dereference")
        return self.value


NONE: Final = Optional(None)


class SetList(list[Any]):
    """A list whose order does not matter: ``x-kubernetes-list-type: set``."""

    __slots__ = ()


class MapList(list[Any]):
    """A list of objects identified by ``keys``: ``x-kubernetes-list-type: map``."""

    __slots__ = ("keys",)

    def __init__(self, items: list[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key(self, item: Any) -> Any:
        """What identifies ``item``."""
        if not isinstance(item, dict):
            raise EvalError(
                "unexpected data format for element of array with x-kubernetes-list-type=map"
            )
        return tuple(item.get(k) for k in self.keys)


class Struct(dict[str, Any]):
    """An object built in an expression, with the name of its type."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = type_name


class Opaque:
    """A library's value. Subclasses set ``type_name`` and compare with ``==`` among themselves.

    ``cel_size`` is what the cost of a comparison or a search counts.
    """

    __slots__ = ()
    type_name = "opaque"

    @property
    def cel_size(self) -> int:
        return 1


_NAMES: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    SetList: "list",
    MapList: "list",
    dict: "map",
    Duration: "google.protobuf.Duration",
    Timestamp: "google.protobuf.Timestamp",
    TypeValue: "type",
    Optional: "optional_type",
}


def type_name(value: Any) -> str:
    """The name of the type that ``type(value)`` gives."""
    name = _NAMES.get(type(value))
    if name is None:
        name = value.type_name
        assert isinstance(name, str)
    return name


_SCALARS: Final = frozenset(
    {bool, int, Uint, float, str, bytes, type(None), Duration, Timestamp, TypeValue}
)
_NUMBERS: Final = frozenset({int, Uint, float})


def equal(a: Any, b: Any) -> bool:
    """``a == b``: numbers compare across their types, other types are never equal to each other."""
    ta, tb = type(a), type(b)
    if ta is tb and ta in _SCALARS:
        return bool(a == b)
    if ta in _NUMBERS:
        return tb in _NUMBERS and not _nan(a, b) and _order(a, b) == 0
    if a is None or b is None:
        return a is b
    if isinstance(a, list):
        return isinstance(b, list) and _lists_equal(a, b)
    if isinstance(a, dict):
        if not isinstance(b, dict) or len(a) != len(b):
            return False
        for key, value in a.items():
            found, other = find(b, key)
            if not found or not equal(value, other):
                return False
        return True
    if ta is Optional:
        if tb is not Optional or a is NONE or b is NONE:
            return a is b
        return equal(a.value, b.value)
    if isinstance(a, Opaque):
        if ta is not tb:
            raise no_such_overload()
        return bool(a == b)
    return False


def _lists_equal(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return False
    if isinstance(a, SetList):
        if _all_strings(a) and _all_strings(b):
            return set(a) >= set(b)
        return all(any(equal(x, y) for y in a) for x in b)
    if isinstance(a, MapList):
        mine = {a.key(x): x for x in a}
        return all((k := a.key(y)) in mine and equal(mine[k], y) for y in b)
    return all(map(equal, a, b))


def _all_strings(items: list[Any]) -> bool:
    return all(type(x) is str for x in items)


def _nan(a: Any, b: Any) -> bool:
    return bool(a != a or b != b)


def _order(a: Any, b: Any) -> int:
    """-1, 0 or 1 for two numbers, integers against doubles as doubles as cel-go does."""
    if type(a) is float and type(b) is not float:
        return -_order(b, a)
    if type(b) is float and type(a) is not float:
        low, high = (0, UINT_MAX) if type(a) is Uint else (INT_MIN, INT_MAX)
        if b < low:
            return 1
        if b > high:
            return -1
        a = float(a)
    sign: int = (a > b) - (a < b)
    return sign


_ORDERED: Final = frozenset({bool, str, bytes})


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1; an error for values without an order."""
    ta, tb = type(a), type(b)
    if ta in _NUMBERS and tb in _NUMBERS:
        if _nan(a, b):
            raise EvalError("NaN values cannot be ordered")
        return _order(a, b)
    if ta is not tb:
        raise no_such_overload()
    if ta in _ORDERED:
        return int(a > b) - int(a < b)
    if ta is Duration or ta is Timestamp:
        return int(a.ns > b.ns) - int(a.ns < b.ns)
    raise no_such_overload()


def find(m: dict[Any, Any], key: Any) -> tuple[bool, Any]:
    """Whether ``m`` has ``key`` (a double may name an integer key, True never 1), and its value."""
    kind = type(key)
    if kind is float and not key.is_integer():
        return False, None
    try:
        if key not in m:
            return False, None
    except TypeError:
        return False, None
    if kind is bool or kind in _NUMBERS:
        for k in m:
            if k == key:
                return (type(k) is bool) == (kind is bool), m[key]
    return True, m[key]


def concat(a: list[Any], b: list[Any]) -> list[Any]:
    """``a + b``: lists that are sets or maps are merged."""
    if isinstance(a, SetList):
        out = SetList(a)
        for x in b:
            if not any(equal(x, y) for y in out):
                out.append(x)
        return out
    if isinstance(a, MapList):
        merged = {a.key(x): x for x in a}
        for y in b:
            merged[a.key(y)] = y
        return MapList(list(merged.values()), a.keys)
    return a + b


def size(value: Any) -> int:
    """What costs count: elements, code points, bytes; 1 for everything else."""
    kind = type(value)
    if kind is str or kind is bytes or isinstance(value, list | dict):
        return len(value)
    if kind is Optional and value is not NONE:
        return size(value.value)
    if isinstance(value, Opaque):
        return value.cel_size
    return 1


def is_zero(value: Any) -> bool:
    """Whether ``optional.ofNonZeroValue`` leaves it out."""
    if isinstance(value, Duration):
        return value.ns == 0
    if isinstance(value, Timestamp):
        return value.ns == -62135596800 * 10**9
    if isinstance(value, Opaque | TypeValue | Optional):
        return False
    return not value


def double_text(x: float) -> str:
    """As Go's ``%g`` writes it: the shortest digits, an exponent outside 1e-4 .. 1e6."""
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "+Inf" if x > 0 else "-Inf"
    if x == 0:
        return "-0" if math.copysign(1, x) < 0 else "0"
    sign, digits, exponent = Decimal(repr(x)).normalize().as_tuple()
    assert isinstance(exponent, int)
    power = len(digits) - 1 + exponent
    text = "".join(map(str, digits))
    minus = "-" if sign else ""
    if power < -4 or power >= 6:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        return f"{minus}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return minus + fixed_text(abs(x))


def fixed_text(x: float) -> str:
    """The shortest digits of ``x`` without an exponent and without a trailing ``.0``."""
    text = format(Decimal(repr(x)), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text
