"""How the names of fields become identifiers of expressions, and back.

Called by: ``schema``, and by code that prints field names. Rules: apiserver ``pkg/cel/escaping``.
"""

from __future__ import annotations

import re
from typing import Final

RESERVED: Final = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./-]*", re.ASCII).fullmatch
_SPECIAL: Final = re.compile(r"__|[-./]")
_WORDS: Final = {"__": "underscores", ".": "dot", "-": "dash", "/": "slash"}
_SIGNS: Final = {word: sign for sign, word in _WORDS.items()}
_ESCAPED: Final = re.compile(r"__([^_]+)__")


def escape(name: str) -> str | None:
    """The identifier for the field ``name``, or None when no expression can name it."""
    if not name or name[0] in "0123456789" or not _PLAIN(name):
        return None
    if name in RESERVED:
        return f"__{name}__"
    return _SPECIAL.sub(lambda m: f"__{_WORDS[m[0]]}__", name)


def unescape(identifier: str) -> str | None:
    """The field that an identifier names, or None when it names none."""
    bad = False

    def sign(m: re.Match[str]) -> str:
        nonlocal bad
        word = m[1]
        if word in _SIGNS:
            return _SIGNS[word]
        bad = bad or word not in RESERVED or m[0] != identifier
        return word

    name = _ESCAPED.sub(sign, identifier)
    return None if bad else name
