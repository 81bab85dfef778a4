"""Moving through the tokens of an expression, and reporting errors on the way.

Called by: ``parser``, whose grammar it knows nothing of. Rules: the messages of cel-go's grammar.
"""

from __future__ import annotations

from typing import Final

from .ast import Const, Node
from .errors import Issue
from .lexer import Token

MAX_DEPTH: Final = 250


class Stop(Exception):
    """The rest of the text cannot be parsed."""


class Cursor:
    """A position among the tokens, and the errors so far."""

    def __init__(
        self,
        tokens: list[Token],
        optionals: bool,
        issues: list[Issue],
    ) -> None:
        self.tokens = tokens
        self.at = 0
        self.kind = tokens[0].kind
        self.optionals = optionals
        self.issues = issues
        self.depth = 0

    def next(self) -> Token:
        """Takes the token."""
        token = self.tokens[self.at]
        self.at += 1
        self.kind = self.tokens[self.at].kind if self.at < len(self.tokens) else "eof"
        return token

    def stop(self, message: str) -> Stop:
        """An error at the token; to be raised."""
        token = self.tokens[self.at]
        self.issues.append(Issue(token.pos, f"Syntax error: {message}"))
        return Stop()

    def expect(self, kind: str, expecting: str) -> Token:
        """Takes the token, which must be of ``kind``."""
        if self.kind != kind:
            text = self.tokens[self.at].text
            raise self.stop(f"mismatched input '{text}' expecting {expecting}")
        return self.next()

    def error(self, pos: int, message: str) -> Node:
        """Reports an error at a place; returns a node to go on with."""
        self.issues.append(Issue(pos, message))
        return Const(pos, None)

    def enter(self) -> None:
        """One level deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.issues.append(Issue(-1, f"expression recursion limit exceeded: {MAX_DEPTH}"))
            raise Stop()

    def close(self, kind: str) -> None:
        """Takes a closing bracket."""
        if self.kind == kind:
            self.next()
            return
        text = self.tokens[self.at].text
        if kind == ")" and self.at and self.kind == "eof":
            raise self.stop(f"missing ')' at '{text}'")
        if kind == "]" and self.kind == "eof":
            raise self.stop("missing ']' at '<EOF>'")
        extra = self.kind != "eof" and self.tokens[self.at + 1].kind == kind
        what = "extraneous" if extra else "mismatched"
        raise self.stop(f"{what} input '{text}' expecting '{kind}'")

    def mark(self) -> bool:
        """Whether a ``?`` stands before an entry of a literal."""
        if self.kind != "?":
            return False
        token = self.next()
        if not self.optionals:
            self.error(token.pos, "unsupported syntax '?'")
        return True

    def ended(self, close: str) -> bool:
        """After an entry of a literal: whether it was the last."""
        if self.kind == ",":
            self.next()
            if self.kind == ",":
                raise self.stop(f"mismatched input ',' expecting '{close}'")
            if self.kind != close:
                return False
        if self.kind != close:
            text = self.tokens[self.at].text
            raise self.stop(f"mismatched input '{text}' expecting {{'{close}', ','}}")
        self.next()
        return True

    def empty(self, close: str) -> bool:
        """Whether the literal that was just opened has no entries."""
        if self.kind == ",":
            self.next()
            self.expect(close, f"'{close}'")
            return True
        if self.kind == close:
            self.next()
            return True
        return False
