"""``'%s of %d'.format([a, b])``: the format strings of the strings library.

In: a format string and values, or the nodes of a literal list, to be checked before an evaluation.
Called by: ``strings`` and ``validators``. Rules: cel-go ``ext/formatting``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from .. import times, values
from ..ast import ListExpr, MapExpr, Node
from ..errors import EvalError
from ..values import Duration, Timestamp, TypeValue, Uint

_STRING = (
    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
    "durations, and timestamps, was given "
)
_DECIMAL = "decimal clause can only be used on integers, was given "
_BINARY = "only integers and bools can be formatted as binary, was given "
_OCTAL = "octal clause can only be used on integers, was given "
_HEX = "only integers, byte buffers, and strings can be formatted as hex, was given "
_FIXED = "fixed-point clause can only be used on doubles, was given "
_SCIENTIFIC = "scientific clause can only be used on doubles, was given "


class _Bad(Exception):
    """Not a format string."""


def _clauses(text: str) -> Iterator[str | tuple[str, int | None]]:
    """Literal pieces, and clauses as (letter, precision)."""
    i = 0
    piece = ""
    while i < len(text):
        if text[i] != "%":
            piece += text[i]
            i += 1
            continue
        if text[i + 1 : i + 2] == "%":
            piece += "%"
            i += 2
            continue
        yield piece
        piece = ""
        i += 1
        # Takes the argument before the clause is looked at; 0 when there is no clause.
        yield ("%", None if i < len(text) else 0)
        if i >= len(text):
            raise _Bad("unexpected end of string")
        precision: int | None = None
        if text[i] == ".":
            end = i + 1
            while end < len(text) and text[end] in "0123456789":
                end += 1
            if end >= len(text):
                raise _Bad(
                    "could not parse formatting clause: error while parsing precision: "
                    "could not find end of precision specifier"
                )
            if end == i + 1:
                raise _Bad(
                    "could not parse formatting clause: error while parsing precision: error while "
                    'converting precision to integer: strconv.Atoi: parsing "": invalid syntax'
                )
            precision = int(text[i + 1 : end])
            i = end
        letter = text[i]
        if letter not in "sdfebxXo":
            raise _Bad(
                f'could not parse formatting clause: unrecognized formatting clause "{letter}"'
            )
        i += 1
        yield (letter, precision)
    yield piece


def apply(text: str, args: list[Any]) -> str:
    """The text with its clauses replaced by ``args``."""
    out: list[str] = []
    count = 0
    try:
        for clause in _clauses(text):
            if isinstance(clause, str):
                out.append(clause)
            elif clause[0] == "%":
                if count >= len(args):
                    raise EvalError(f"index {count} out of range")
                count += 1
            else:
                out.append(_one(clause[0], clause[1], args[count - 1]))
    except _Bad as e:
        raise EvalError(str(e)) from None
    return "".join(out)


def _wrong(message: str, v: Any) -> EvalError:
    return EvalError(f"error during formatting: {message}{values.type_name(v)}")


def _one(letter: str, precision: int | None, v: Any) -> str:
    kind = type(v)
    whole = kind is int or kind is Uint
    match letter:
        case "s":
            return _text(v)
        case "d":
            if not whole:
                raise _wrong(_DECIMAL, v)
            return str(int(v))
        case "b":
            if kind is bool:
                return "1" if v else "0"
            if not whole:
                raise _wrong(_BINARY, v)
            return format(int(v), "b")
        case "o":
            if not whole:
                raise _wrong(_OCTAL, v)
            return format(int(v), "o")
        case "x" | "X":
            if whole:
                return format(int(v), letter)
            if kind is str or kind is bytes:
                text: str = (v.encode() if kind is str else v).hex()
                return text.upper() if letter == "X" else text
            raise _wrong(_HEX, v)
    if kind is str and v in ("NaN", "Infinity", "-Infinity"):
        v = float(v.replace("Infinity", "inf"))
    elif kind is not float:
        raise _wrong(_FIXED if letter == "f" else _SCIENTIFIC, v)
    return _real(letter, 6 if precision is None else precision, v)


def _real(letter: str, precision: int, v: float) -> str:
    """As Go's ``message`` package prints for en_US: grouped digits, ``×10^`` for exponents."""
    if math.isnan(v):
        return "NaN"
    if math.isinf(v):
        return "∞" if v > 0 else "-∞"
    if letter == "f":
        exact = (
            Decimal(v).quantize(Decimal(1).scaleb(-precision), ROUND_HALF_EVEN)
            if precision
            else (Decimal(v).to_integral_value(ROUND_HALF_EVEN))
        )
        return f"{exact:,f}"
    mantissa, _, exponent = format(v, f".{precision}e").partition("e")
    power = int(exponent)
    superscript = str(abs(power)).rjust(2, "0").translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}×10{'⁻' if power < 0 else ''}{superscript}"


def _text(v: Any) -> str:
    kind = type(v)
    if kind is str:
        return str(v)
    if kind is bool:
        return "true" if v else "false"
    if kind is int or kind is Uint:
        return str(int(v))
    if kind is float:
        return values.double_text(v)
    if v is None:
        return "null"
    if kind is bytes:
        try:
            return str(v, "utf-8")
        except UnicodeDecodeError:
            raise EvalError(
                "error during formatting: could not convert argument to string"
            ) from None
    if kind is Timestamp:
        return times.timestamp_text(v)
    if kind is Duration:
        return times.duration_text(v)
    if kind is TypeValue:
        return str(v.name)
    if isinstance(v, list):
        return "[" + ", ".join(_nested(x) for x in v) + "]"
    if isinstance(v, dict):
        pairs = sorted((_key(k), _nested(x)) for k, x in v.items())
        return "{" + ", ".join(f"{k}:{x}" for k, x in pairs) + "}"
    raise _wrong(_STRING, v)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _key(k: Any) -> str:
    if type(k) in (str, bool, int, Uint):
        return _quoted(k) if type(k) is str else _text(k)
    name = values.type_name(k)
    raise EvalError(f"error during formatting: no formatting function for map key of type {name}")


def _nested(v: Any) -> str:
    """A value within a list or map, as a literal."""
    kind = type(v)
    if kind is str:
        return _quoted(v)
    if kind is bytes:
        return "b" + _quoted(_text(v))
    if kind is float:
        if math.isnan(v):
            return '"NaN"'
        if math.isinf(v):
            return '"+Inf"' if v > 0 else '"-Inf"'
        return f"{v:.6f}"
    if kind is Timestamp:
        return f'timestamp("{times.timestamp_text(v)}")'
    if kind is Duration:
        return f'duration("{times.duration_text(v)}")'
    if isinstance(v, list | dict) or kind in (int, Uint, bool, TypeValue) or v is None:
        return _text(v)
    name = values.type_name(v)
    raise EvalError(f"error during formatting: no formatting function for {name}")


_ACCEPTED = {
    "s": (
        frozenset(
            [
                "list",
                "map",
                "int",
                "uint",
                "double",
                "bool",
                "string",
                "timestamp",
                "bytes",
                "duration",
                "type",
                "null_type",
            ]
        ),
        _STRING,
    ),
    "d": (frozenset({"int", "uint"}), _DECIMAL),
    "f": (frozenset({"double", "string"}), _FIXED),
    "e": (frozenset({"double", "string"}), _SCIENTIFIC),
    "b": (frozenset({"int", "uint", "bool"}), _BINARY),
    "x": (frozenset({"int", "uint", "string", "bytes"}), _HEX),
    "X": (frozenset({"int", "uint", "string", "bytes"}), _HEX),
    "o": (frozenset({"int", "uint"}), _OCTAL),
}


def check(text: str, args: list[Node]) -> tuple[Node | None, str] | None:
    """What is wrong with a literal format string and its literal list, and with which argument."""
    count = 0
    try:
        for clause in _clauses(text):
            if isinstance(clause, str):
                continue
            if clause[0] == "%":
                count += 1
                if count > len(args) and clause[1] is None:
                    return None, f"index {count - 1} out of range"
                continue
            bad = _rejected(clause[0], args[count - 1])
            if bad is not None:
                _, message = _ACCEPTED[clause[0]]
                return bad, f"error during formatting: {message}{_type_name(bad)}"
    except _Bad as e:
        return None, str(e)
    if len(args) > count:
        return None, (
            f"too many arguments supplied to string.format (expected {count}, got {len(args)})"
        )
    return None


def _type_name(node: Node) -> str:
    name = node.type.name
    return {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}.get(
        name, name
    )


def _rejected(letter: str, node: Node) -> Node | None:
    accepted, _ = _ACCEPTED[letter]
    if node.type.kind != "dyn" and node.type.kind not in accepted:
        return node
    if letter != "s":
        return None
    below: list[Node] = []
    if isinstance(node, ListExpr):
        below = node.elems
    elif isinstance(node, MapExpr):
        below = [n for k, v, _ in node.entries for n in (k, v)]
    for n in below:
        bad = _rejected("s", n)
        if bad is not None:
            return bad
    return None
