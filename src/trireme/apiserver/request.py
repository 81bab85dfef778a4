"""A request as the API server sees it, whatever carried it (HTTPS or a call in the same process).

``serve`` or the in-process transport makes a ``Request``; ``info`` (what it asks for) is parsed
from the path once; the filters add the user. Upstream: apiserver ``endpoints/request``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from trireme.machinery import fields, names

# The media types of API objects, in the order in which a wildcard chooses.
MEDIA = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
READ_VERBS = frozenset({"get", "list", "watch"})
_LONG_RUNNING = frozenset({"attach", "exec", "proxy", "log", "portforward"})


class User(msgspec.Struct, frozen=True, gc=False):
    """Who asks. ``extra`` maps keys such as authentication.kubernetes.io/pod-name to values."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}


AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))


class RequestInfo(msgspec.Struct, frozen=True, gc=False):
    """What a path asks for. For anything outside the API's resources, ``resource`` is empty."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    # What follows the subresource: the path that a proxy request is for.
    rest: str = ""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


class Request:
    """One request. Header names are lower case. ``body`` is whole and bounded; where ``receive`` is
    given, it is read by ``receive_body``. Whoever carries the request closes it in the end.

    ``upgrade`` is what the transport offers for a connection that leaves HTTP (exec, port-forward);
    None where it cannot.
    """

    __slots__ = (
        "_annotations",
        "_at_end",
        "audit",
        "body",
        "deadline",
        "flow",
        "headers",
        "info",
        "leave",
        "media",
        "method",
        "path",
        "peer_certificate",
        "peer_chain",
        "query",
        "raw_query",
        "receive",
        "remote",
        "ticket",
        "upgrade",
        "user",
        "warnings",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        receive: Callable[[Request], Awaitable[bytes]] | None = None,
        peer_certificate: bytes | None = None,
        peer_chain: Callable[[], Sequence[bytes]] | None = None,
        remote: str = "",
        upgrade: Any = None,
        user: User | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.raw_query = query
        self.query: dict[str, list[str]] = parse_qs(query, keep_blank_values=True) if query else {}
        self.headers = headers or {}
        self.body = body
        self.receive = receive
        self._at_end: tuple[Callable[[], None], ...] = ()
        # Where fairness has put it (``fairness.levels.Flow``): the answer says so in its headers.
        # Its seats there, and what gives them back.
        self.flow: Any = None
        self.ticket: Any = None
        self.leave: Callable[[Request], None] | None = None
        # Seconds that the client gives it, where these are less than everybody has.
        self.deadline: float | None = None
        self.peer_certificate = peer_certificate
        # What TLS checked the certificate by, up to the authority.
        self.peer_chain = peer_chain
        self.remote = remote
        self.upgrade = upgrade
        self.user = user
        self.warnings: list[str] = []
        # What is written of the request, None where nothing is (``audit``).
        self.audit: Any = None
        self._annotations: dict[str, str] | None = None
        # The media types of this server's API objects, read and written.
        self.media: tuple[str, ...] = MEDIA
        self.info = parse(method, path, self.query)

    @property
    def annotations(self) -> dict[str, str]:
        """What the audit event of the request is annotated with."""
        if self._annotations is None:
            self._annotations = {}
        return self._annotations

    async def receive_body(self) -> None:
        """Read the body where it has not been read; ApiError where it cannot be."""
        if self.receive is not None:
            receive, self.receive = self.receive, None
            self.body = await receive(self)

    def at_end(self, call: Callable[[], None]) -> None:
        """Call this once the request has been answered, or given up."""
        self._at_end += (call,)

    def initialized(self) -> None:
        """The first events of a watch have been sent: the rest takes no seats."""
        leave, self.leave = self.leave, None
        if leave is not None:
            leave(self)

    def close(self) -> None:
        """The request is over."""
        self.initialized()
        if self._at_end:
            calls, self._at_end = self._at_end, ()
            for call in reversed(calls):
                call()

    def param(self, name: str) -> str:
        """The first value of a query parameter, "" when it is absent."""
        values = self.query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        """A boolean query parameter, by Go's rules: absent, "false" and "0" are false."""
        values = self.query.get(name)
        if not values:
            return False
        return values[0] not in ("false", "False", "FALSE", "f", "F", "0")


# Paths up to this length are parsed once.
_CACHED_LENGTH = 256
_VERB = {"POST": "create", "PUT": "update", "PATCH": "patch", "HEAD": "get", "GET": "get"}


def parse(method: str, path: str, query: Mapping[str, list[str]]) -> RequestInfo:
    """What a method and a path ask for, by upstream's rules for special paths and verbs."""
    if not query and len(path) < _CACHED_LENGTH:
        return _parse_path(method, path)
    return _parse(method, path, query)


@lru_cache(maxsize=2048)
def _parse_path(method: str, path: str) -> RequestInfo:
    """Of a path without a query: the same ones come again and again. The cache is bounded by the
    lengths of its keys, too."""
    return _parse(method, path, {})


def _parse(method: str, path: str, query: Mapping[str, list[str]]) -> RequestInfo:
    parts = path.strip("/").split("/") if len(path) > 1 else []
    if "%" in path:
        parts = [unquote(part) for part in parts]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(method.lower(), path)
    verb = _VERB.get(method, "delete" if method == "DELETE" else method.lower())
    namespace = ""
    if rest[0] == "watch" and len(rest) > 1:
        # The old form of watching, /api/v1/watch/pods: still served.
        rest, verb = rest[1:], "watch"
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    selected = ""
    if not name and verb == "get":
        watching = query.get("watch") or query.get("Watch")
        verb = "watch" if watching and watching[0] not in ("false", "0", "f") else "list"
        selected = _selected_name(query)
    elif not name and verb == "delete":
        verb = "deletecollection"
    if resource == "namespaces":
        namespace = name
    return RequestInfo(
        verb,
        path,
        group,
        version,
        namespace,
        resource,
        subresource,
        name or selected,
        "/".join(rest[3:]),
    )


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request may last as long as its client wants."""
    if info.resource:
        return info.verb == "watch" or info.subresource in _LONG_RUNNING
    return info.path.startswith("/debug/pprof/")


def _selected_name(query: Mapping[str, list[str]]) -> str:
    """The one name that a list or watch asks for: rights to a named object cover that."""
    text = query.get("fieldSelector")
    if not text or not text[0]:
        return ""
    try:
        name = fields.parse(text[0]).exact("metadata.name")
    except ValueError:
        # The list itself answers what is wrong with its selector.
        return ""
    return name if name and not names.is_path_segment(name) else ""
