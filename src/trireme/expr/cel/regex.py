"""Regular expressions with the syntax and the guarantees of RE2.

In: a pattern and a string. Out: whether and what it matches, in time linear in the string; a
pattern that Go refuses is refused with Go's words. Called by: ``library/standard``,
``library/regex`` and the compiler, which prepares constant patterns. Rules: Go ``regexp/syntax``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

from .errors import EvalError

_WORDS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "unexpected )": "unexpected )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid character class range": "invalid character class range",
    "invalid escape sequence": "invalid escape sequence",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "trailing \\": "trailing backslash at end of expression",
    "invalid named capture group": "invalid named capture",
}


def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


_OPTIONS: Final = _quiet()


class PatternError(ValueError):
    """The pattern is not one; the message is Go's."""


@lru_cache(4096)
def pattern(text: str) -> Any:
    """The compiled pattern; ``PatternError`` when there is none."""
    try:
        return re2.compile(text, _OPTIONS)
    except re2.error as e:
        raw = e.args[0]
        message = raw.decode() if isinstance(raw, bytes) else str(raw)
        what, _, where = message.partition(": ")
        fragment = text if what in ("missing )", "unexpected )") else where
        if what == "trailing \\":
            fragment = ""
        raise PatternError(
            f"error parsing regexp: {_WORDS.get(what, what)}: `{fragment}`"
        ) from None


def matches(s: str, text: str) -> bool:
    """Whether the pattern is found anywhere in ``s``."""
    try:
        return pattern(text).search(s) is not None
    except PatternError as e:
        raise EvalError(str(e)) from None


def find_all(s: str, text: str, limit: int) -> list[str]:
    """The matches from left to right, at most ``limit`` when that is not negative.

    As in Go, an empty match right after another match does not count.
    """
    out: list[str] = []
    last = -1
    for m in pattern(text).finditer(s):
        if 0 <= limit <= len(out):
            break
        if m.start() == m.end() == last:
            continue
        last = m.end()
        out.append(m.group())
    return out
