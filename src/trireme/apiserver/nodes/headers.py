"""The headers of a request that is passed on to another server, and of its answer. Pure.

Upstream: apimachinery ``util/proxy``, Go's ReverseProxy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from multidict import CIMultiDict

# What belongs to one connection.
_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
# Who asks is the API server's business, and so is what it has unpacked.
_OURS = frozenset(["authorization", "content-length", "x-forwarded-for", "x-forwarded-uri"])
_IDENTITY = ("impersonate-", "x-remote-")
# A pod must not open the API server's own origin to others.
_CORS = frozenset(
    f"access-control-allow-{what}" for what in ("credentials", "headers", "methods", "origin")
)


def of_request(headers: Mapping[str, str], remote: str, uri: str) -> CIMultiDict[str]:
    """The headers that go on: nothing of this connection, and nothing that says who asks."""
    passed = _end_to_end(headers.items(), _OURS, _IDENTITY)
    if passed.get("Content-Encoding") == "gzip":
        # The body has been unpacked when it was read.
        del passed["Content-Encoding"]
    before = [value for name, value in headers.items() if name.lower() == "x-forwarded-for"]
    if before or remote:
        passed["X-Forwarded-For"] = ", ".join([*before, *([remote] if remote else [])])
    passed["X-Forwarded-Uri"] = uri
    return passed


def of_answer(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers that come back."""
    return _end_to_end(headers.items(), _CORS)


def _end_to_end(
    headers: Iterable[tuple[str, str]], dropped: frozenset[str], prefixes: tuple[str, ...] = ()
) -> CIMultiDict[str]:
    items = [(name, value) for name, value in headers if not name.lower().startswith(prefixes)]
    named = {
        token.strip().lower()
        for name, value in items
        if name.lower() == "connection"
        for token in value.split(",")
    }
    kept = [(n, v) for n, v in items if n.lower() not in _HOP | named | dropped]
    return CIMultiDict(kept)
