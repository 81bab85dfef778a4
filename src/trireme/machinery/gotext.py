"""Go's text forms of values, which upstream's messages are made of: quoted strings and numbers.

In: plain Python values. Out: the text that Go's ``%q``, ``%v`` and ``encoding/json`` print.
Called by: field, errors, labels, time. Rules: Go's ``strconv.Quote`` and ``encoding/json``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

_PLAIN = re.compile(r"[ !#-\[\]-~]*\Z")
_SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
_JSON = msgspec.json.Encoder(order="deterministic")
_IN_ORDER = msgspec.json.Encoder()
# The end of a float that msgspec writes otherwise than Go; it may stand in a text as well.
_FLOAT = re.compile(rb"(?:\.0|[0-9]e-?[0-9]+)(?:[,}\]]|\Z)").search
# Digits and what ends a value, each as one character: few searches then leave out most of what has
# no such float, in a third of the time that the expression takes.
_ROUGHLY = bytes(
    ord("0") if chr(code) in "0123456789" else ord(",") if chr(code) in ",]}" else code
    for code in range(256)
)


def quote(text: str) -> str:
    """``text`` as Go's ``%q`` prints it: double quotes, unprintable characters escaped."""
    if _PLAIN.match(text):
        return f'"{text}"'
    return '"' + "".join(_escape(character) for character in text) + '"'


def quotes(texts: Iterable[str]) -> str:
    """Strings as Go's ``%q`` prints a list of them: ``["a" "b"]``."""
    return f"[{' '.join(map(quote, texts))}]"


def value(item: Any) -> str:
    """``item`` as upstream shows a bad value: strings quoted, scalars bare, the rest as JSON."""
    if isinstance(item, str):
        return quote(item)
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item)
    if isinstance(item, float):
        return number(item)
    return json(item)


def plain(item: Any) -> str:
    """A JSON value as Go's ``%v`` prints it: ``map[a:1 b:[x y]]``."""
    if item is None:
        return "<nil>"
    if isinstance(item, dict):
        return f"map[{' '.join(f'{key}:{plain(item[key])}' for key in sorted(item))}]"
    if isinstance(item, list):
        return f"[{' '.join(map(plain, item))}]"
    return item if isinstance(item, str) else value(item)


def json(item: Any) -> str:
    """``item`` as Go's ``json.Marshal`` prints it: compact, keys sorted, HTML escaped."""
    text = in_go(_JSON.encode(item)).decode()
    for character in "<>&\u2028\u2029":
        if character in text:
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def in_go(data: bytes) -> bytes:
    """JSON that msgspec made with its floats as Go writes them: 1000.0 is 1000, 1e21 is 1e+21.

    Go's clients read integers into integers only.
    """
    rough = data.translate(_ROUGHLY) + b","
    if not (b".0," in rough or b"0e-" in rough or b"0e00," in rough or b"0e000," in rough):
        return data
    if _FLOAT(data) is None:
        return data
    return _IN_ORDER.encode(_in_go(msgspec.json.decode(data)))


def _in_go(value: Any) -> Any:
    if type(value) is dict:
        return {key: _in_go(item) for key, item in value.items()}
    if type(value) is list:
        return [_in_go(item) for item in value]
    if type(value) is not float:
        return value
    # Served values have been stored and read again, by which -0 becomes 0.
    return msgspec.Raw(json_number(value or 0.0).encode())


def number(item: float) -> str:
    """``item`` as Go's ``%v`` prints a float64: shortest form, exponent from 1e6 on."""
    if item != item:
        return "NaN"
    if item in (float("inf"), float("-inf")):
        return "+Inf" if item > 0 else "-Inf"
    # The shortest digits that give the number back, as Python has them.
    sign, digits, exponent = Decimal(repr(item)).normalize().as_tuple()
    assert isinstance(exponent, int)
    power = len(digits) + exponent - 1 if item else 0
    if -4 <= power < 6:
        text = format(Decimal(repr(item)).normalize(), "f")
        return "-0" if item == 0 and sign else text
    first, *rest = map(str, digits)
    mantissa = first + ("." + "".join(rest) if rest else "")
    return f"{'-' * sign}{mantissa}e{power:+03d}"


def json_number(item: float) -> str:
    """``item`` as Go's ``json.Marshal`` prints a float64: no exponent between 1e-6 and 1e21."""
    sign, digits, exponent = Decimal(repr(item)).normalize().as_tuple()
    assert isinstance(exponent, int)
    if not item or 1e-6 <= abs(item) < 1e21:
        return format(Decimal(repr(item)).normalize(), "f")
    first, *rest = map(str, digits)
    mantissa = first + ("." + "".join(rest) if rest else "")
    return f"{'-' * sign}{mantissa}e{len(digits) + exponent - 1:+}"


def _escape(character: str) -> str:
    short = _SHORT.get(character)
    if short is not None:
        return short
    if character.isprintable():
        return character
    point = ord(character)
    if point < 0x20 or point == 0x7F:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
