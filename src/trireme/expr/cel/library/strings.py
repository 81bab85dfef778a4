"""The strings library, version 2.

Out: ``OVERLOADS``. Called by: ``versions``. Rules: cel-go ``ext/strings``.
"""

from __future__ import annotations

from typing import Any, Final

from .. import types as t
from ..errors import EvalError
from ..functions import Overload, define, method
from . import formatting

_S, _I = t.STRING, t.INT
_LOWER: Final = {c: c + 32 for c in range(65, 91)}
_UPPER: Final = {c: c - 32 for c in range(97, 123)}
_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    + ("\u2009\u200a\u2028\u2029\u202f\u205f\u3000")
)


def _char_at(s: str, i: int) -> str:
    if not 0 <= i <= len(s):
        raise EvalError(f"index out of range: {i}")
    return s[i : i + 1]


def _index_of(s: str, sub: str, start: int = 0) -> int:
    if not sub:
        return start
    if start < 0:
        raise EvalError(f"index out of range: {start}")
    return s.find(sub, start)


def _last_index_of(s: str, sub: str) -> int:
    return s.rfind(sub)


def _last_index_from(s: str, sub: str, start: int) -> int:
    if not sub:
        return start
    if start < 0:
        raise EvalError(f"index out of range: {start}")
    if start >= len(s):
        return -1
    return s.rfind(sub, 0, start + len(sub))


def _replace(s: str, old: str, new: str, n: int = -1) -> str:
    return s.replace(old, new, n)


def _split(s: str, sep: str, n: int = -1) -> list[str]:
    if n == 0:
        return []
    if not sep:
        chars = list(s)
        return chars if n < 0 or n >= len(chars) else [*chars[: n - 1], "".join(chars[n - 1 :])]
    return s.split(sep, n - 1 if n > 0 else -1)


def _substring(s: str, start: int) -> str:
    if not 0 <= start <= len(s):
        raise EvalError(f"index out of range: {start}")
    return s[start:]


def _substring_range(s: str, start: int, end: int) -> str:
    if start > end:
        raise EvalError(f"invalid substring range. start: {start}, end: {end}")
    for i in (start, end):
        if not 0 <= i <= len(s):
            raise EvalError(f"index out of range: {i}")
    return s[start:end]


def _join(items: list[Any], sep: str = "") -> str:
    for x in items:
        if type(x) is not str:
            raise EvalError(f"join: invalid input: {x}")
    return sep.join(items)


_ESCAPES: Final = {
    7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\", 34: '\\"',
}  # fmt: skip


def _quote(s: str) -> str:
    return '"' + s.translate(_ESCAPES) + '"'


OVERLOADS: Final[list[Overload]] = [
    method("charAt", "string_char_at_int", (_S, _I), _S, _char_at),
    method("indexOf", "string_index_of_string", (_S, _S), _I, _index_of),
    method("indexOf", "string_index_of_string_int", (_S, _S, _I), _I, _index_of),
    method("lastIndexOf", "string_last_index_of_string", (_S, _S), _I, _last_index_of),
    method("lastIndexOf", "string_last_index_of_string_int", (_S, _S, _I), _I, _last_index_from),
    method("lowerAscii", "string_lower_ascii", (_S,), _S, lambda s: s.translate(_LOWER)),
    method("replace", "string_replace_string_string", (_S, _S, _S), _S, _replace),
    method("replace", "string_replace_string_string_int", (_S, _S, _S, _I), _S, _replace),
    method("split", "string_split_string", (_S, _S), t.LIST_STRING, _split),
    method("split", "string_split_string_int", (_S, _S, _I), t.LIST_STRING, _split),
    method("substring", "string_substring_int", (_S, _I), _S, _substring),
    method("substring", "string_substring_int_int", (_S, _I, _I), _S, _substring_range),
    method("trim", "string_trim", (_S,), _S, lambda s: s.strip(_SPACE)),
    method("upperAscii", "string_upper_ascii", (_S,), _S, lambda s: s.translate(_UPPER)),
]
SINCE_1_29: Final[list[Overload]] = [
    method("format", "string_format", (_S, t.list_of(t.DYN)), _S, formatting.apply),
    define("strings.quote", "strings_quote", (_S,), _S, _quote),
]
JOIN: Final[list[Overload]] = [
    method("join", "list_join", (t.LIST_STRING,), _S, _join),
    method("join", "list_join_string", (t.LIST_STRING, _S), _S, _join),
]
