"""The three kinds of value that a module offers to be found by folder and served.

- ``SubresourceHandler`` in ``subresources/``: a path below an object that is not a plain
  read or write of it (binding, token, log, exec ...).
- ``KindHandler`` in ``virtual/``: a kind that is never stored (the reviews).
- ``Route`` in ``virtual/``, ``discovery/``, ``openapi/``: a path outside the API's resources.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.reply.reply import AnyReply
from trireme.apiserver.request import Request

Answer = Callable[[ServerContext, Request, Endpoint], Awaitable[AnyReply]]


@dataclass(frozen=True)
class SubresourceHandler:
    """Serves ``<plural[.group]>/<name>/<subresource>`` for the given request verbs."""

    group_resource: str
    subresource: str
    # Request verb ("get", "create", ...) to handler.
    verbs: dict[str, Answer]


@dataclass(frozen=True)
class KindHandler:
    """Serves a kind that is answered and not stored: by POST (reviews), or as ``verbs`` says."""

    type: type
    create: Answer | None = None
    verbs: dict[str, Answer] = field(default_factory=dict)

    def answer(self, verb: str) -> Answer | None:
        """What answers a request verb; None where nothing does."""
        return self.create if verb == "create" else self.verbs.get(verb)


@dataclass(frozen=True)
class Route:
    """Serves a path outside the resources; ``prefix`` also everything below it."""

    path: str
    answer: Callable[[ServerContext, Request], Awaitable[AnyReply]]
    prefix: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD")


@dataclass(frozen=True)
class Handlers:
    """Everything that was found: by (plural[.group], subresource), by type, by path."""

    subresources: dict[tuple[str, str], SubresourceHandler]
    kinds: dict[type, KindHandler]
    exact: dict[str, Route]
    # The longest first.
    prefixes: tuple[Route, ...]
