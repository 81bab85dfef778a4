"""Quantities, such as ``500m``, ``1Gi`` or ``2e3``: exact numbers that remember their suffix.

In: the text (or a count and a format). Out: ``Quantity`` values, and the one canonical text that
upstream's ``Quantity.String`` gives. Called by: ``schema/normalise`` on each write, and by callers
that add up resources. Rules: apimachinery ``api/resource``.

The number is kept as an integer of nano units, which is exact for every quantity that can be
written: finer ones are rounded up (away from zero) when they are parsed, as upstream does.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

BINARY_SI: Final = "BinarySI"
DECIMAL_SI: Final = "DecimalSI"
DECIMAL_EXPONENT: Final = "DecimalExponent"

NANO: Final = -9
MILLI: Final = -3

FORMAT_ERROR: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
SUFFIX_ERROR: Final = "unable to parse quantity's suffix"
NUMERIC_ERROR: Final = "unable to parse numeric part of quantity"

_ONE: Final = 10**9
_INT64_MAX: Final = 2**63 - 1
_SYNTAX: Final = re.compile(
    r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)\Z", re.ASCII
).match
_DECIMAL: Final = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {0: "", **{power // 10: suffix for suffix, power in _BINARY.items()}}
# An exponent so large that no store or wire could carry the number: refused, not computed.
_MAX_EXPONENT: Final = 4000


class Quantity(msgspec.Struct, frozen=True, gc=False):
    """``nanos`` billionths, and the family of suffixes (``format``) to write them with.

    Compares and hashes by number alone: ``1000m == 1``.
    """

    nanos: int = 0
    format: str = DECIMAL_SI

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: Quantity) -> bool:
        return self.nanos <= other.nanos

    def __gt__(self, other: Quantity) -> bool:
        return self.nanos > other.nanos

    def __ge__(self, other: Quantity) -> bool:
        return self.nanos >= other.nanos

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.nanos * factor, self.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __str__(self) -> str:
        return _text(self.nanos, self.format)

    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return _divide_up(self.nanos, _ONE)

    def milli_value(self) -> int:
        """Thousandths, rounded away from zero."""
        return _divide_up(self.nanos, 10**6)

    def round_up(self, scale: int) -> Quantity:
        """The quantity with nothing finer than ``10**scale``, rounded away from zero."""
        unit = 10 ** max(scale + 9, 0)
        return Quantity(_divide_up(self.nanos, unit) * unit, self.format)

    def is_integer(self) -> bool:
        return self.nanos % _ONE == 0


@lru_cache(maxsize=16384)
def parse(text: str) -> Quantity:
    """The quantity that ``text`` writes. Raises ValueError in upstream's words."""
    sign, whole, fraction, suffix = _split(text)
    base, exponent, family = _suffix(suffix)
    digits = whole + fraction
    if len(digits) > _MAX_EXPONENT:
        raise ValueError(NUMERIC_ERROR)
    number = int(digits or "0")
    if base == 10:
        nanos = _shift_up(number, exponent - len(fraction) + 9)
    else:
        nanos = min(_shift_up(number << exponent, 9 - len(fraction)), _INT64_MAX * _ONE)
        if 0 < nanos < _ONE:
            family = DECIMAL_SI
    return Quantity(-nanos if sign == "-" else nanos, family)


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    """``text`` rewritten as upstream stores it: ``0.5`` is ``500m``, ``1024Mi`` is ``1Gi``."""
    text = text.strip()
    value = parse(text)
    return text if _is_kept(text) else str(value)


@lru_cache(maxsize=16384)
def canonical_milli(text: str) -> str:
    """The canonical text after rounding up to thousandths: defaulting does so to ResourceLists."""
    text = text.strip()
    value = parse(text)
    rounded = value.round_up(MILLI)
    return canonical(text) if rounded == value else str(rounded)


def of(count: int, family: str = DECIMAL_SI) -> Quantity:
    """A quantity of ``count`` whole units."""
    return Quantity(count * _ONE, family)


def _split(text: str) -> tuple[str, str, str, str]:
    """Sign, digits before and after the point, suffix. A bare sign or suffix stands for zero."""
    match = _SYNTAX(text) if text else None
    if match is None:
        raise ValueError(FORMAT_ERROR)
    sign, whole, fraction, suffix = match.groups()
    return sign, whole.lstrip("0"), fraction or "", suffix


def _is_kept(text: str) -> bool:
    """Whether upstream keeps the very text that it was given, canonical or not.

    Its parser takes some spellings for canonical (``1.500``, ``+5``, ``5E3``); clients get them
    back as sent.
    """
    _, whole, fraction, suffix = _split(text)
    base, exponent, _ = _suffix(suffix)
    whole = whole or "0"
    if base == 2:
        if fraction or len(whole) + exponent * 3 // 10 + 1 > 15:
            return False
        return int(whole) % 8 != 0
    scale = exponent - len(fraction)
    digits = whole + fraction
    if len(digits) > 18 or scale < NANO or scale % 3:
        return False
    return not digits.endswith("000") and digits[0] != "0"


def _suffix(suffix: str) -> tuple[int, int, str]:
    """Base, exponent and format of a suffix."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], DECIMAL_SI
    if suffix in _BINARY:
        return 2, _BINARY[suffix], BINARY_SI
    if len(suffix) > 1 and suffix[0] in "eE":
        try:
            exponent = int(suffix[1:])
        except ValueError:
            raise ValueError(SUFFIX_ERROR) from None
        if exponent > _MAX_EXPONENT:
            raise ValueError(NUMERIC_ERROR)
        return 10, max(exponent, -3 * _MAX_EXPONENT), DECIMAL_EXPONENT
    raise ValueError(SUFFIX_ERROR)


def _text(nanos: int, family: str) -> str:
    if nanos == 0:
        return "0"
    if family == BINARY_SI and abs(nanos) >= 1024 * _ONE and nanos % _ONE == 0:
        number, power = nanos // _ONE, 0
        while number % 1024 == 0 and power < 6:
            number //= 1024
            power += 1
        return f"{number}{_BINARY_SUFFIX[power]}"
    exponent = NANO
    limit = 18 if family != DECIMAL_EXPONENT else _MAX_EXPONENT * 2
    while nanos % 1000 == 0 and exponent < limit:
        nanos //= 1000
        exponent += 3
    if family == DECIMAL_EXPONENT:
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_DECIMAL_SUFFIX[exponent]}"


def _shift_up(number: int, power: int) -> int:
    """``number * 10**power``, rounded up to an integer."""
    factor: int = 10 ** abs(power)
    return number * factor if power >= 0 else -(-number // factor)


def _divide_up(number: int, unit: int) -> int:
    return -(-number // unit) if number >= 0 else number // unit
