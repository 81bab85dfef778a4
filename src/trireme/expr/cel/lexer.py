"""From the text of an expression to tokens and the values of literals.

Called by: ``parser``. Rules: the grammar of cel-spec ``langdef`` and cel-go ``parser/unescape``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .errors import Issue


class Token(NamedTuple):
    """``kind`` is a class of literals, ``ident`` or the operator itself; ``pos`` its offset."""

    kind: str
    text: str
    pos: int


_ESCAPE = (
    r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}"
    r"|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
)
_STRING = (
    r'(?:[rR](?:"""(?s:.*?)"""|' + r"'''(?s:.*?)'''" + r'|"[^"\n\r]*"|' + r"'[^'\n\r]*')"
    rf'|"""(?:{_ESCAPE}|[^\\])*?"""|' + rf"'''(?:{_ESCAPE}|[^\\])*?'''"
    rf'|"(?:{_ESCAPE}|[^\\"\n\r])*"|' + rf"'(?:{_ESCAPE}|[^\\'\n\r])*')"
)
_TOKEN: Final = re.compile(
    rf"""(?P<space>[\t \r\n\f]+|//[^\n]*)
|(?P<bytes>[bB]{_STRING})
|(?P<string>{_STRING})
|(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
|(?P<uint>0x[0-9a-fA-F]+[uU]|[0-9]+[uU])
|(?P<int>0x[0-9a-fA-F]+|[0-9]+)
|(?P<ident>[A-Za-z_][A-Za-z0-9_]*)
|(?P<escaped>`[A-Za-z0-9_.\-/\ ]+`)
|(?P<op>==|!=|<=|>=|&&|\|\||[<>\[\]{{}}().,\-!?:+*/%])
""".replace("\n", ""),
    re.ASCII,
).match
# A first character that begins an operator or a string of which the rest is missing.
_BROKEN: Final = re.compile(
    rf"""[=&|](?s:.)?|[rRbB]{{0,2}}(?:"(?:{_ESCAPE}|[^\\"\n])*(?:\\.?)?"""
    rf"""|'(?:{_ESCAPE}|[^\\'\n])*(?:\\.?)?)|`[^`]*|(?s:.)"""
).match


def tokens(text: str, issues: list[Issue]) -> list[Token]:
    """The tokens of ``text``, ended by one of kind ``eof``; what is no token goes to ``issues``."""
    out: list[Token] = []
    pos, end = 0, len(text)
    while pos < end:
        m = _TOKEN(text, pos)
        if m is None:
            broken = _BROKEN(text, pos)
            assert broken is not None
            bad = broken.group()
            issues.append(Issue(pos, f"Syntax error: token recognition error at: '{bad}'"))
            pos += len(bad)
            continue
        kind = m.lastgroup
        if kind != "space":
            word = m.group()
            if kind == "op" or (kind == "ident" and word in ("in", "true", "false", "null")):
                kind = word
            out.append(Token(kind or "", word, pos))
        pos = m.end()
    out.append(Token("eof", "<EOF>", end))
    return out


_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_UNESCAPE: Final = re.compile(r"\\(x..|X..|u....|U........|[0-3]..|.)", re.DOTALL)


def unquote(literal: str) -> str:
    """The value of a string literal; ValueError says what is wrong with it."""
    body, raw = _body(literal)
    return body if raw or "\\" not in body else _UNESCAPE.sub(_char, body)


def unquote_bytes(literal: str) -> bytes:
    """The value of a bytes literal (without its ``b``)."""
    body, raw = _body(literal)
    if raw or "\\" not in body:
        return body.encode()
    out, last = bytearray(), 0
    for m in _UNESCAPE.finditer(body):
        out += body[last : m.start()].encode()
        last = m.end()
        code = m.group(1)
        if code[0] in "xX":
            out.append(int(code[1:], 16))
        elif code[0] in "0123":
            out.append(int(code, 8))
        elif code[0] in "uU":
            raise ValueError("unable to unescape string")
        else:
            out += _SIMPLE[code].encode()
    out += body[last:].encode()
    return bytes(out)


def _body(literal: str) -> tuple[str, bool]:
    literal = literal.replace("\r\n", "\n").replace("\r", "\n")
    raw = literal[0] in "rR"
    if raw:
        literal = literal[1:]
    triple = len(literal) >= 6 and literal[:3] in ('"""', "'''")
    return (literal[3:-3] if triple else literal[1:-1]), raw


def _char(m: re.Match[str]) -> str:
    code = m.group(1)
    if code[0] in "xXuU":
        value = int(code[1:], 16)
    elif code[0] in "0123":
        value = int(code, 8)
    else:
        return _SIMPLE[code]
    if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        raise ValueError("invalid unicode code point")
    return chr(value)
