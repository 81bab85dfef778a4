"""URLs: ``url('https://example.com:80/path').getPort()``.

Out: ``OVERLOADS``; ``problem``, which says why a text is no URL. Called by: ``versions``,
``formats``. Rules: apiserver ``pkg/cel/library/urls``, Go ``net/url`` (``ParseRequestURI``,
``Parse``).
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from .. import types as t
from ..errors import EvalError
from ..functions import Overload, define, method
from ..values import Opaque

_URL: Final = t.struct("kubernetes.URL")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})(?s:.{0,2})")
_HOST_BAD: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"%\u0080-\U0010ffff]")
_PATH_SAFE: Final = "/$&+,:;=@-_.~"
_PATH_VALID: Final = re.compile(
    r"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:@\[\]/]|%[0-9a-fA-F]{2})*"
).fullmatch


class _Wrong(Exception):
    pass


class URL(Opaque):
    """A URL in its parts; ``path`` as it was written."""

    __slots__ = ("host", "path", "query", "scheme", "text")
    type_name = "kubernetes.URL"

    def __init__(self, text: str, scheme: str, host: str, path: str, query: str) -> None:
        self.text = text
        self.scheme = scheme
        self.host = host
        self.path = path
        self.query = query

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _go_quote(text: str) -> str:
    def sign(c: str) -> str:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(c, f"\\x{ord(c):02x}")

    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda m: sign(m[0]), plain) + '"'


def _scheme(text: str) -> tuple[str, str]:
    for i, c in enumerate(text):
        if c.isascii() and c.isalpha():
            continue
        if c in "0123456789+-.":
            if i == 0:
                return "", text
            continue
        if c == ":":
            if i == 0:
                raise _Wrong("missing protocol scheme")
            return text[:i], text[i + 1 :]
        return "", text
    return "", text


def _escapes(text: str) -> None:
    bad = _BAD_ESCAPE.search(text)
    if bad is not None:
        raise _Wrong(f"invalid URL escape {_go_quote(bad[0])}")


def _host(authority: str) -> str:
    _, at, host = authority.rpartition("@")
    user = authority[: -len(host) - 1] if at else ""
    if user and re.search(r"[^A-Za-z0-9\-._:~!$&'()*+,;=%@]", user):
        raise _Wrong("net/url: invalid userinfo")
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            raise _Wrong("missing ']' in host")
        _port(host[end + 1 :])
    elif ":" in host:
        _port(host[host.rfind(":") :])
    _escapes(host)
    bad = _HOST_BAD.search(host)
    if bad is not None:
        raise _Wrong(f"invalid character {_go_quote(bad[0])} in host name")
    for m in re.finditer(r"%[0-9a-fA-F]{2}", host):
        if int(m[0][1:], 16) < 0x80 and m[0] != "%25":
            raise _Wrong(f"invalid URL escape {_go_quote(m[0])}")
    return unquote_to_bytes(host).decode("utf-8", "replace") if "%" in host else host


def _port(port: str) -> None:
    if port and (port[0] != ":" or not re.fullmatch(r"[0-9]*", port[1:], re.ASCII)):
        raise _Wrong(f"invalid port {_go_quote(port)} after host")


def _parse(text: str, request: bool) -> URL:
    whole = text
    if not request:
        text, _, fragment = text.partition("#")
        _escapes(fragment)
    if _CONTROL.search(text):
        raise _Wrong("net/url: invalid control character in URL")
    if request and not text:
        raise _Wrong("empty url")
    if text == "*":
        return URL(whole, "", "", "*", "")
    scheme, rest = _scheme(text)
    rest, _, query = rest.partition("?")
    host = ""
    if not rest.startswith("/"):
        if scheme:
            return URL(whole, scheme.lower(), "", "", query)
        if request:
            raise _Wrong("invalid URI for request")
        if ":" in rest.partition("/")[0]:
            raise _Wrong("first path segment in URL cannot contain colon")
    if (scheme or (not request and not rest.startswith("///"))) and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        host = _host(authority)
    _escapes(rest)
    return URL(whole, scheme.lower(), host, rest, query)


def problem(text: str) -> str | None:
    """The error of a text that is not an absolute URL, in Go's words; None for a valid one."""
    try:
        _parse(text, True)
    except _Wrong as e:
        return f"parse {_go_quote(text)}: {e}"
    return None


def _url(text: str) -> URL:
    detail = problem(text)
    if detail is not None:
        raise EvalError(f"URL parse error during conversion from string: {detail}")
    try:
        return _parse(text, False)
    except _Wrong as e:
        quoted = _go_quote(text.partition("#")[0])
        raise EvalError(
            f"URL parse error during conversion from string: parse {quoted}: {e}"
        ) from None


def _hostname(u: URL) -> str:
    host = u.host
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if ":" in host else host


def _port_of(u: URL) -> str:
    host = u.host
    if host.startswith("["):
        after = host.partition("]")[2]
        return after[1:] if after.startswith(":") else ""
    return host.rpartition(":")[2] if ":" in host else ""


def _escaped_path(u: URL) -> str:
    if _PATH_VALID(u.path):
        return u.path
    return quote(unquote_to_bytes(u.path), safe=_PATH_SAFE)


def _query(u: URL) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for part in u.query.split("&"):
        if not part or ";" in part:
            continue
        key, _, value = part.partition("=")
        if _BAD_ESCAPE.search(key) or _BAD_ESCAPE.search(value):
            continue
        out.setdefault(_plain(key), []).append(_plain(value))
    return out


def _plain(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _getter(name: str) -> Any:
    return lambda u: getattr(u, name)


_S: Final = t.STRING
OVERLOADS: Final[list[Overload]] = [
    define("url", "string_to_url", (_S,), _URL, _url),
    method("getScheme", "url_get_scheme", (_URL,), _S, _getter("scheme")),
    method("getHost", "url_get_host", (_URL,), _S, _getter("host")),
    method("getHostname", "url_get_hostname", (_URL,), _S, _hostname),
    method("getPort", "url_get_port", (_URL,), _S, _port_of),
    method("getEscapedPath", "url_get_escaped_path", (_URL,), _S, _escaped_path),
    method("getQuery", "url_get_query", (_URL,), t.map_of(_S, t.LIST_STRING), _query),
    define("isURL", "is_url_string", (_S,), t.BOOL, lambda s: problem(s) is None),
]
