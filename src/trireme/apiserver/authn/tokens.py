"""Bearer tokens of all sorts, in upstream's order, and a short memory of those that passed.

In: a token and the target audiences. Out: an ``Identity``, or None where no sort
knows the token, or ``Rejected``. Callers: ``union`` for requests, ``virtual/tokenreview``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trireme.apiserver.authn.contract import (
    Identity,
    Rejected,
    RemoteTokenAuthenticator,
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
    """Asks each sort in turn, those that ask others (``remote``) last. What passed is believed for
    ten seconds, as upstream does: within these a token outlives its account."""

    def __init__(self, sorts: Sequence[TokenAuthenticator], clock: Clock) -> None:
        self._sorts = sorts
        self._clock = clock
        self._cached: dict[tuple[str, tuple[str, ...]], tuple[Identity, float]] = {}
        self._remote: tuple[RemoteTokenAuthenticator, ...] = ()

    @property
    def remote(self) -> tuple[RemoteTokenAuthenticator, ...]:
        """The sorts that have to wait for others' answers."""
        return self._remote

    @remote.setter
    def remote(self, sorts: tuple[RemoteTokenAuthenticator, ...]) -> None:
        self._remote = sorts
        self._cached.clear()

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The first identity that a sort gives; a rejection only when no other sort knows it."""
        known = self.known(token, audiences)
        if known is not None:
            return known
        problems: list[str] = []
        identity = self._local(token, audiences, problems)
        if identity is None:
            for sort in self._remote:
                try:
                    identity = await sort.authenticate(token, audiences)
                except Rejected as problem:
                    problems.append(str(problem))
                if identity is not None:
                    break
        if identity is not None:
            if len(self._cached) >= CACHE_SIZE:
                self._cached.clear()
            identity = authenticated(identity)
            self._cached[token, audiences] = identity, self._clock.monotonic() + CACHE_TTL
        elif problems:
            raise Rejected("; ".join(problems))
        return identity

    def known(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The identity of a token that passed a moment ago."""
        known = self._cached.get((token, audiences))
        return known[0] if known is not None and self._clock.monotonic() < known[1] else None

    def _local(
        self, token: str, audiences: tuple[str, ...], problems: list[str]
    ) -> Identity | None:
        for sort in self._sorts:
            try:
                identity = sort.authenticate(token, audiences)
            except Rejected as problem:
                problems.append(str(problem))
            else:
                if identity is not None:
                    return identity
        return None
