"""URLs as Go's ``net/url`` reads them, with its words for what is no URL.

In: a text. Out: ``Url``. Called by: the rules about webhooks' addresses. Rules: Go's ``net/url``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from trireme.machinery import gotext

_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:").match
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]").search
_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL).search
_PORT: Final = re.compile(r"(:[0-9]*)?\Z", re.ASCII).match
_USER: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*\Z").match
_NOT_HOST: Final = re.compile(r"""[^A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>"%\u0080-\U0010ffff]""").search


class Url(NamedTuple):
    """The parts; ``user`` is None where there is no ``@``."""

    scheme: str
    user: str | None
    host: str
    query: str
    fragment: str


def parse(text: str) -> Url:
    """The parts of ``text``. ValueError in Go's words."""
    try:
        return _parse(text)
    except ValueError as problem:
        rest = text.partition("#")[0]
        raise ValueError(f"parse {gotext.quote(rest)}: {problem}") from None


def _parse(text: str) -> Url:
    rest, _, fragment = text.partition("#")
    if _CONTROL(rest):
        raise ValueError("net/url: invalid control character in URL")
    if rest.startswith(":"):
        raise ValueError("missing protocol scheme")
    found = _SCHEME(rest)
    scheme = found[0][:-1].lower() if found else ""
    rest, _, query = rest[found.end() if found else 0 :].partition("?")
    user: str | None = None
    host = ""
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, None, "", query, fragment)  # opaque
        if ":" in rest.partition("/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, host = _authority(authority)
    _unescaped(rest)
    _unescaped(fragment)
    return Url(scheme, user, host, query, fragment)


def _authority(text: str) -> tuple[str | None, str]:
    user, mark, host = text.rpartition("@")
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            raise ValueError("missing ']' in host")
        _port(host[end + 1 :])
    elif ":" in host:
        _port(host[host.rindex(":") :])
    _unescaped(host)
    bad = _NOT_HOST(host)
    if bad:
        raise ValueError(f"invalid character {gotext.quote(bad[0])} in host name")
    if not mark:
        return None, host
    if not _USER(user):
        raise ValueError("net/url: invalid userinfo")
    _unescaped(user)
    return user, host


def _port(text: str) -> None:
    if not _PORT(text):
        raise ValueError(f"invalid port {gotext.quote(text)} after host")


def _unescaped(text: str) -> None:
    bad = _ESCAPE(text)
    if bad:
        raise ValueError(f"invalid URL escape {gotext.quote(bad[0])}")
