"""What can go wrong with an expression, and how it is reported.

In: messages with an offset into the expression's text. Out: ``CelError`` (compilation, all issues
at once, printed with the line and a caret as cel-go prints them) and ``EvalError`` (one
evaluation). Called by: every module of this package. Rules: cel-go ``common/errors``.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

_MAX_REPORTED: Final = 100
_MAX_SNIPPET: Final = 16384


class Issue(NamedTuple):
    """One error: the code point ``offset`` it points at (-1: nowhere) and its message."""

    offset: int
    message: str


class CelError(Exception):
    """The expression cannot be used.

    ``kind`` is ``compile`` (syntax, types, literals) or ``program`` (refused when the program was
    planned, such as a regular expression that does not compile). ``str()`` is the complete message.
    """

    def __init__(self, kind: str, message: str, issues: tuple[Issue, ...] = ()) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.issues = issues


class EvalError(Exception):
    """An evaluation that has no value: ``no such key: x``, ``division by zero`` and the like."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.cost = 0
        """What the evaluation had cost until then."""


class CostLimitExceeded(EvalError):
    """The evaluation was stopped; not absorbed by ``&&`` and ``||``."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


NO_SUCH_OVERLOAD: Final = "no such overload"


def no_such_overload(function: str = "") -> EvalError:
    """The error for operands whose types were not known before evaluation and do not fit."""
    return EvalError(f"{NO_SUCH_OVERLOAD}: {function}" if function else NO_SUCH_OVERLOAD)


def compile_error(text: str, issues: list[Issue]) -> CelError:
    """All ``issues`` of ``text`` in one error, in the order of their places."""
    starts = [0]
    for i, c in enumerate(text):
        if c == "\n":
            starts.append(i + 1)
    placed = []
    for issue in issues[:_MAX_REPORTED]:
        line = bisect_right(starts, issue.offset) - 1
        placed.append((line, issue.offset - starts[line], issue))
    placed.sort(key=lambda p: p[:2])
    lines = text.split("\n")
    messages = [_display(lines, line, column, issue.message) for line, column, issue in placed]
    if len(issues) > _MAX_REPORTED:
        messages.append(f"{len(issues) - _MAX_REPORTED} more errors were truncated")
    return CelError("compile", "\n".join(messages), tuple(p[2] for p in placed))


def _display(lines: list[str], line: int, column: int, message: str) -> str:
    if line < 0:
        return f"ERROR: <input>:-1:0: {message}"
    snippet = lines[line].replace("\t", " ")
    if not "".join(lines):
        return f"ERROR: <input>:{line + 1}:{column}: {message}"
    head = f"ERROR: <input>:{line + 1}:{column + 1}: {message}"
    if len(snippet.encode()) > _MAX_SNIPPET:
        return head
    before = "".join("." if ord(c) < 128 else "．" for c in snippet[:column])
    at = snippet[column : column + 1]
    caret = "＾" if at and ord(at) >= 128 else "^"
    return f"{head}\n | {snippet}\n | {before}{caret}"
