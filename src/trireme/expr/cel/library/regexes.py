"""``find`` and ``findAll``.

Out: ``OVERLOADS``. Called by: ``versions``. Rules: apiserver ``pkg/cel/library/regex``.
"""

from __future__ import annotations

from typing import Final

from .. import regex
from .. import types as t
from ..errors import EvalError
from ..functions import Overload, method


def _find(s: str, pattern: str) -> str:
    found = _find_all(s, pattern, 1)
    return found[0] if found else ""


def _find_all(s: str, pattern: str, n: int = -1) -> list[str]:
    try:
        return regex.find_all(s, pattern, n)
    except regex.PatternError as e:
        raise EvalError(f"Illegal regex: {e}") from None


_S: Final = t.STRING
OVERLOADS: Final[list[Overload]] = [
    method("find", "string_find_string", (_S, _S), _S, _find),
    method("findAll", "string_find_all_string", (_S, _S), t.LIST_STRING, _find_all),
    method("findAll", "string_find_all_string_int", (_S, _S, t.INT), t.LIST_STRING, _find_all),
]
