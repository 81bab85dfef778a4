"""From the text of a path to its steps.

In: ``.status.conditions[?(@.type=="Ready")].status``, with or without ``$`` and braces. Out: a
``JsonPath``, or JsonPathError. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

from trireme.expr.jsonpath.steps import (
    All,
    Descend,
    Filter,
    Items,
    JsonPath,
    Name,
    Step,
    Union,
)


class JsonPathError(ValueError):
    """The text is no path."""


_SLICE: Final = re.compile(r"\s*(-?\d+)?\s*(?:(:)\s*(-?\d+)?\s*(?::\s*(-?\d+)?)?)?\s*\Z")
_COMPARE: Final = re.compile(r"(==|!=|<=|>=|<|>)")
_QUOTED: Final = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\Z""", re.DOTALL)


def parse(text: str) -> JsonPath:
    """The path that ``text`` writes. Raises JsonPathError."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    return JsonPath(tuple(_Parser(text).steps()))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def steps(self) -> list[Step]:
        found: list[Step] = []
        text = self._text
        if text[:1] in ("$", "@"):
            self._at = 1
        elif text and text[0] not in ".[":
            found += self._name()
        while self._at < len(text):
            character = text[self._at]
            if text.startswith("..", self._at):
                self._at += 2
                found.append(Descend())
                if text[self._at : self._at + 1] not in ("", "["):
                    found += self._name()
            elif character == ".":
                self._at += 1
                if text[self._at : self._at + 1] not in ("", "["):
                    found += self._name()
            elif character == "[":
                found.append(self._bracket())
            else:
                raise JsonPathError(f"unrecognized character in action: {character!r}")
        return found

    def _name(self) -> list[Step]:
        """A name up to the next ``.`` or ``[``; a backslash takes what follows it as it is."""
        name: list[str] = []
        text = self._text
        while self._at < len(text) and text[self._at] not in ".[":
            if text[self._at] == "\\" and self._at + 1 < len(text):
                self._at += 1
            name.append(text[self._at])
            self._at += 1
        joined = "".join(name).strip()
        if not joined:
            raise JsonPathError("a field name is missing")
        return [All() if joined == "*" else Name(joined)]

    def _bracket(self) -> Step:
        inside = self._inside()
        if inside.startswith("?(") and inside.endswith(")"):
            return _filter(inside[2:-1])
        parts = _split(inside, ",")
        if len(parts) > 1:
            return Union(tuple(JsonPath((_index(part),)) for part in parts))
        return _index(inside)

    def _inside(self) -> str:
        """What stands between this bracket and the one that closes it."""
        text, start, depth, quote = self._text, self._at + 1, 0, ""
        position = self._at
        while position < len(text):
            character = text[position]
            if quote:
                if character == "\\":
                    position += 1
                elif character == quote:
                    quote = ""
            elif character in "'\"":
                quote = character
            elif character == "[":
                depth += 1
            elif character == "]":
                depth -= 1
                if depth == 0:
                    self._at = position + 1
                    return text[start:position].strip()
            position += 1
        raise JsonPathError("unterminated array")


def _index(text: str) -> Step:
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return Name(_unescape(quoted[1] if quoted[1] is not None else quoted[2]))
    if text.strip() == "*":
        return All()
    found = _SLICE.match(text)
    if found is None or not text.strip():
        raise JsonPathError(f"invalid array index {text}")
    start, colon, stop, step = found.groups()
    if not colon:
        return Items(int(start), None, 1, True)
    stride = int(step) if step else 1
    if stride <= 0:
        raise JsonPathError("step must be > 0")
    return Items(int(start) if start else None, int(stop) if stop else None, stride, False)


def _filter(text: str) -> Step:
    pieces = _split_compare(text)
    if len(pieces) == 1:
        return Filter(_side(pieces[0]), "", None)
    return Filter(_side(pieces[0]), pieces[1], _side(pieces[2]))


def _side(text: str) -> JsonPath | Any:
    """A path from the item, or a literal."""
    text = text.strip()
    if text[:1] in ("@", "$", "."):
        return parse(text)
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return _unescape(quoted[1] if quoted[1] is not None else quoted[2])
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise JsonPathError(f"cannot parse filter operand {text}") from None


def _split_compare(text: str) -> list[str]:
    quote = ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            found = _COMPARE.match(text, position)
            if found is not None:
                return [text[:position], found[1], text[found.end() :]]
    return [text]


def _split(text: str, separator: str) -> list[str]:
    parts, quote, start = [], "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == separator:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
