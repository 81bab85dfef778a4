"""The error of a text that is not JSON, in the words of Go's ``encoding/json``.

In: a text that Python's parser refused. Out: Go's message, such as ``invalid character '}' looking
for beginning of value`` or ``unexpected end of JSON input``. Called by: ``schema/decode``, only for
bodies that are already known to be bad.
"""

from __future__ import annotations

import re
from typing import Final

from trireme.machinery import gotext

_SPACE: Final = re.compile(r"[ \t\r\n]*").match
_END: Final = "unexpected end of JSON input"
_HEX: Final = "0123456789abcdefABCDEF"
_DIGITS: Final = "0123456789"
_ESCAPES: Final = 'bfnrt\\/"'
_WORDS: Final = {"t": "true", "f": "false", "n": "null"}


class _Bad(Exception):
    """Carries the message from where the text goes wrong to ``explain``."""


def explain(text: str) -> str:
    """The message for the first place where ``text`` breaks JSON's grammar."""
    try:
        _check(text)
    except _Bad as bad:
        return str(bad)
    return "invalid JSON"


def _check(text: str) -> None:
    # Iterative: a hostile text nests deeper than Python recurses.
    stack: list[str] = []
    state, at = "value", 0
    while True:
        at = _space(text, at)
        if state == "after" and not stack:
            if at < len(text):
                raise _unexpected(text, at, "after top-level value")
            return
        if at >= len(text):
            raise _Bad(_END)
        state, at = _step(text, at, state, stack)


def _step(text: str, at: int, state: str, stack: list[str]) -> tuple[str, int]:
    """The state and position after the token at ``at``; ``stack`` holds what is open."""
    character = text[at]
    if state == "after":
        if character == ",":
            return ("key" if stack[-1] == "{" else "value"), at + 1
        if character == ("}" if stack[-1] == "{" else "]"):
            stack.pop()
            return "after", at + 1
        inside = "object key:value pair" if stack[-1] == "{" else "array element"
        raise _unexpected(text, at, f"after {inside}")
    if state == "colon":
        if character != ":":
            raise _unexpected(text, at, "after object key")
        return "value", at + 1
    if (state, character) in (("first key", "}"), ("first element", "]")):
        stack.pop()
        return "after", at + 1
    if state in ("first key", "key"):
        if character != '"':
            raise _unexpected(text, at, "looking for beginning of object key string")
        return "colon", _string(text, at + 1)
    if character in "{[":
        stack.append(character)
        return ("first key" if character == "{" else "first element"), at + 1
    return "after", _scalar(text, at)


def _scalar(text: str, at: int) -> int:
    first = text[at]
    if first == '"':
        return _string(text, at + 1)
    if first == "-" or first in _DIGITS:
        return _number(text, at)
    if first in _WORDS:
        return _word(text, at, _WORDS[first])
    raise _unexpected(text, at, "looking for beginning of value")


def _string(text: str, at: int) -> int:
    while at < len(text):
        character = text[at]
        if character == '"':
            return at + 1
        if character < " ":
            raise _unexpected(text, at, "in string literal")
        at += 1
        if character == "\\":
            if at >= len(text):
                break
            if text[at] == "u":
                for offset in range(1, 5):
                    if at + offset < len(text) and text[at + offset] not in _HEX:
                        where = "in \\u hexadecimal character escape"
                        raise _unexpected(text, at + offset, where)
                at += 4
            elif text[at] not in _ESCAPES:
                raise _unexpected(text, at, "in string escape code")
            at += 1
    raise _Bad(_END)


def _number(text: str, at: int) -> int:
    if text[at] == "-":
        at += 1
        at = _digit(text, at, "in numeric literal")
    else:
        at += 1
    if text[at - 1] != "0":
        while at < len(text) and text[at] in _DIGITS:
            at += 1
    if text[at : at + 1] == ".":
        at = _digit(text, at + 1, "after decimal point in numeric literal")
        while at < len(text) and text[at] in _DIGITS:
            at += 1
    if at < len(text) and text[at] in "eE":
        at += 1
        if text[at : at + 1] in ("+", "-"):
            at += 1
        at = _digit(text, at, "in exponent of numeric literal")
        while at < len(text) and text[at] in _DIGITS:
            at += 1
    return at


def _digit(text: str, at: int, where: str) -> int:
    if at >= len(text):
        raise _Bad(_END)
    if text[at] not in _DIGITS:
        raise _unexpected(text, at, where)
    return at + 1


def _word(text: str, at: int, word: str) -> int:
    for offset in range(1, len(word)):
        if at + offset >= len(text):
            raise _Bad(_END)
        if text[at + offset] != word[offset]:
            raise _unexpected(text, at + offset, f"in literal {word} (expecting '{word[offset]}')")
    return at + len(word)


def _space(text: str, at: int) -> int:
    found = _SPACE(text, at)
    return found.end() if found else at


def _unexpected(text: str, at: int, where: str) -> _Bad:
    return _Bad(f"invalid character {_quoted(text[at])} {where}")


def _quoted(character: str) -> str:
    if character == "'":
        return "'\\''"
    if character == '"':
        return "'\"'"
    if ord(character) > 126:
        # Go looks at bytes: a character beyond ASCII is quoted as its first byte.
        character = chr(character.encode("utf-8", "surrogatepass")[0])
    quoted = gotext.quote(character)
    return f"'{quoted[1:-1]}'"
