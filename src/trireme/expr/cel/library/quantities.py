"""Quantities: ``quantity('100Mi').isGreaterThan(quantity('50M'))``.

Out: ``OVERLOADS``, ``TYPE``. Called by: ``versions``. Rules: apiserver
``pkg/cel/library/quantity``, apimachinery ``api/resource``. The number is kept in billionths, which
is exact: finer digits are rounded up when they are parsed, as upstream does.
(``machinery/quantity`` stands above this package.)
"""

from __future__ import annotations

import re
from typing import Final

from .. import types as t
from ..errors import EvalError
from ..functions import Overload, define, method
from ..values import INT_MAX, INT_MIN, Opaque

TYPE: Final = t.struct("kubernetes.Quantity")
_ONE: Final = 10**9
_DIGITS: Final = 18
_BINARY_DIGITS: Final = 15
_SYNTAX: Final = re.compile(
    r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*)([-+]?[0-9]*)", re.ASCII
).fullmatch
_DECIMAL: Final = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_FORMAT: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


class Quantity(Opaque):
    """``nanos`` billionths; ``wide`` when upstream keeps so many digits as no integer."""

    __slots__ = ("nanos", "wide")
    type_name = "kubernetes.Quantity"

    def __init__(self, nanos: int, wide: bool = False) -> None:
        self.nanos = nanos
        self.wide = wide

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)


def parse(text: str) -> Quantity:
    """The quantity; ``EvalError`` with upstream's words."""
    m = _SYNTAX(text)
    if m is None or not (m[2] or m[3]):
        raise EvalError(_FORMAT)
    suffix, power = m[4], m[5]
    factor = _factor(suffix, power)
    if factor is None:
        raise EvalError("unable to parse quantity's suffix")
    up, down = factor
    whole = int((m[2] or "") + (m[3] or ""))
    number = whole * up * _ONE
    divisor = down * 10 ** len(m[3] or "")
    nanos = -(-number // divisor)
    digits = len(m[2].lstrip("0")) or 1
    if suffix in _BINARY:
        nanos = min(nanos, INT_MAX * _ONE)
        wide = bool(m[3]) or digits + _BINARY[suffix] * 3 // 10 + 1 > _BINARY_DIGITS
    else:
        places = len(m[3] or "")
        scale = int(power) if power else _DECIMAL[suffix]
        wide = digits + places > _DIGITS or scale - places < -9
    return Quantity(-nanos if m[1] == "-" else nanos, wide)


def _factor(suffix: str, power: str) -> tuple[int, int] | None:
    if power:
        if suffix not in ("e", "E") or power in ("+", "-"):
            return None
        n = int(power)
        if abs(n) > 4000:
            return None
        return (10**n, 1) if n >= 0 else (1, 10**-n)
    if suffix in _BINARY:
        return 1 << _BINARY[suffix], 1
    if suffix not in _DECIMAL:
        return None
    n = _DECIMAL[suffix]
    return (10**n, 1) if n >= 0 else (1, 10**-n)


def _is_quantity(text: str) -> bool:
    try:
        parse(text)
    except EvalError:
        return False
    return True


def _whole(q: Quantity) -> int | None:
    n, rest = divmod(q.nanos, _ONE)
    return n if not rest and not q.wide and INT_MIN <= n <= INT_MAX else None


def _as_integer(q: Quantity) -> int:
    n = _whole(q)
    if n is None:
        raise EvalError("cannot convert value to integer")
    return n


def _compare(a: Quantity, b: Quantity) -> int:
    return (a.nanos > b.nanos) - (a.nanos < b.nanos)


_Q: Final = (TYPE, TYPE)
_QI: Final = (TYPE, t.INT)
OVERLOADS: Final[list[Overload]] = [
    define("quantity", "string_to_quantity", (t.STRING,), TYPE, parse),
    define("isQuantity", "is_quantity_string", (t.STRING,), t.BOOL, _is_quantity),
    define("sign", "quantity_sign", (TYPE,), t.INT, lambda q: (q.nanos > 0) - (q.nanos < 0)),
    method("isGreaterThan", "quantity_is_greater_than", _Q, t.BOOL, lambda a, b: a.nanos > b.nanos),
    method("isLessThan", "quantity_is_less_than", _Q, t.BOOL, lambda a, b: a.nanos < b.nanos),
    method("compareTo", "quantity_compare_to", _Q, t.INT, _compare),
    method("asApproximateFloat", "quantity_get_float", (TYPE,), t.DOUBLE, lambda q: q.nanos / _ONE),
    method("asInteger", "quantity_get_int", (TYPE,), t.INT, _as_integer),
    method("isInteger", "quantity_is_integer", (TYPE,), t.BOOL, lambda q: _whole(q) is not None),
    method(
        "add", "quantity_add", _Q, TYPE, lambda a, b: Quantity(a.nanos + b.nanos, a.wide or b.wide)
    ),
    method("add", "quantity_add_int", _QI, TYPE, lambda a, n: Quantity(a.nanos + n * _ONE, a.wide)),
    method(
        "sub", "quantity_sub", _Q, TYPE, lambda a, b: Quantity(a.nanos - b.nanos, a.wide or b.wide)
    ),
    method("sub", "quantity_sub_int", _QI, TYPE, lambda a, n: Quantity(a.nanos - n * _ONE, a.wide)),
]
