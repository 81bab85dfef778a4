"""Bearer tokens of all sorts, in upstream's order, and a short memory of those that passed.

In: a token and the target audiences. Out: an ``Identity``, or None where no sort
knows the token, or ``Rejected``. Callers: ``union`` for requests, ``virtual/tokenreview``.
OIDC and webhooks are not supported: no configuration names them.
"""

from __future__ import annotations

from collections.abc import Mapping

from trireme.apiserver.authn.contract import (
    Identity,
    Rejected,
    TokenAuthenticator,
    authenticated,
)
from trireme.apiserver.request import User
from trireme.kit.clock import Clock

# Upstream's --authentication-token success cache: seconds, and our bound on its size.
CACHE_TTL = 10.0
CACHE_SIZE = 10_000


class StaticTokens:
    """Tokens of the configuration, for whatever audience the API server itself has."""

    def __init__(
        self, tokens: Mapping[str, tuple[str, str, tuple[str, ...]]], own: tuple[str, ...]
    ) -> None:
        self._tokens = tokens
        self._own = own

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The user whose token it is."""
        known = self._tokens.get(token)
        matching = tuple(item for item in self._own if item in audiences)
        if known is None or not matching:
            return None
        name, uid, groups = known
        return Identity(User(name, uid, tuple(groups)), matching)


class Tokens:
    """Asks each sort in turn. What passed is believed for ten seconds, as upstream does: within
    these a token outlives its account."""

    def __init__(self, sorts: list[TokenAuthenticator], clock: Clock) -> None:
        self._sorts = sorts
        self._clock = clock
        self._cached: dict[tuple[str, tuple[str, ...]], tuple[Identity, float]] = {}

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The first identity that a sort gives; a rejection only when no other sort knows it."""
        key = (token, audiences)
        now = self._clock.monotonic()
        known = self._cached.get(key)
        if known is not None and now < known[1]:
            return known[0]
        identity = self._ask(token, audiences)
        if identity is not None:
            if len(self._cached) >= CACHE_SIZE:
                self._cached.clear()
            identity = authenticated(identity)
            self._cached[key] = identity, now + CACHE_TTL
        return identity

    def _ask(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        problems: list[str] = []
        for sort in self._sorts:
            try:
                identity = sort.authenticate(token, audiences)
            except Rejected as problem:
                problems.append(str(problem))
            else:
                if identity is not None:
                    return identity
        if problems:
            raise Rejected("; ".join(problems))
        return None
