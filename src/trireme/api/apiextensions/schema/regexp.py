"""Regular expressions as Go has them: RE2's syntax, matched in linear time.

In: a pattern. Out: a compiled one, or ValueError with Go's words. The library is RE2 itself; its
complaints are put into the words of Go's ``regexp/syntax``. Called by: validation of schemas and of
values. Rules: https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

_WORDS: Final = (
    ("missing ]", "missing closing ]"),
    ("missing )", "missing closing )"),
    ("unexpected )", "unexpected )"),
    ("no argument for repetition operator", "missing argument to repetition operator"),
    ("bad repetition operator", "invalid nested repetition operator"),
    ("invalid repetition size", "invalid repeat count"),
    ("invalid perl operator", "invalid or unsupported Perl syntax"),
    ("invalid escape sequence", "invalid escape sequence"),
    ("trailing \\", "trailing backslash at end of expression"),
    ("invalid character class range", "invalid character class range"),
    ("invalid character class", "invalid character class"),
    ("invalid named capture group", "invalid named capture"),
    ("invalid UTF-8", "invalid UTF-8"),
)


@lru_cache(maxsize=4096)
def compile(pattern: str) -> Any:
    """The compiled pattern; its ``search`` finds a match anywhere. Raises ValueError."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as fault:
        raise ValueError(_words(fault, pattern)) from None


def _words(fault: Exception, pattern: str) -> str:
    text = fault.args[0]
    text = text.decode() if isinstance(text, bytes) else str(text)
    what, _, rest = text.partition(": ")
    said = next((theirs for ours, theirs in _WORDS if what.startswith(ours)), what)
    if said.startswith("trailing"):
        return f"error parsing regexp: {said}: ``"
    shown = pattern if said.startswith(("missing closing )", "unexpected )")) else rest
    return f"error parsing regexp: {said}: `{shown}`"
