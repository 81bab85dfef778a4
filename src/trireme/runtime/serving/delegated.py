"""Authentication and authorization of a component's clients, which the API server decides.

In: the connection's client certificate or a bearer token; a user, and what it wants. Out: the user,
and whether it may; answers are kept for a while. Called by ``server`` and by the kubelet's server,
for each request. Upstream: TokenReview and SubjectAccessReview by webhook, apiserver/pkg/server
/options (authentication.go, authorization.go).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

import msgspec

from trireme.api.authentication import v1 as authentication
from trireme.api.authorization import v1 as authorization
from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.kit.env import Env
from trireme.machinery.errors import ApiError

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")

LIMIT = 4096
_ERRORS = (ApiError, OSError, Unreadable)


class User(msgspec.Struct, frozen=True):
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Attributes(msgspec.Struct, frozen=True):
    """A verb and what it is for: a subresource of a cluster-scoped resource, or a path."""

    verb: str
    resource: str = ""
    subresource: str = ""
    name: str = ""
    path: str = ""


class Refused(Exception):
    """Status 401 or 403, or 500 when the API does not answer, and the text of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Authenticator:
    """``client`` may create TokenReviews; without one no token is known. ``seconds``: how long an
    answer is kept. ``anonymous``: who says nothing is system:anonymous, and so is whoever has a
    token that nobody can be asked about."""

    def __init__(
        self,
        env: Env,
        client: Client | None,
        seconds: float,
        *,
        anonymous: bool,
    ) -> None:
        self._env = env
        self._client = client
        self._seconds = seconds
        self._anonymous = anonymous
        self._tokens: dict[str, tuple[float, User | None]] = {}

    async def user(self, certificate: dict[str, Any] | None, header: str) -> User:
        """Who asks; ``header`` is Authorization. Raises ``Refused``."""
        if certificate:
            user = _of_certificate(certificate)
            if user.name:
                return user
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.strip() and self._client is not None:
            found = await self._of_token(self._client, token.strip())
            if found is not None:
                return found
            raise Refused(401, "Unauthorized")
        if self._anonymous:
            return User("system:anonymous", groups=("system:unauthenticated",))
        raise Refused(401, "Unauthorized")

    async def _of_token(self, client: Client, token: str) -> User | None:
        now = self._env.clock.monotonic()
        kept = self._tokens.get(token)
        if kept is not None and now < kept[0]:
            return kept[1]
        try:
            answer = await client.create(
                authentication.TokenReview(spec=authentication.TokenReviewSpec(token=token))
            )
        except _ERRORS as error:
            self._env.log.warning("the API cannot say whose a token is: %s", error)
            raise Refused(401, "Unauthorized") from error
        user = None
        if answer.status.authenticated:
            of = answer.status.user
            user = User(
                of.username,
                of.uid,
                tuple(of.groups),
                tuple((key, tuple(values)) for key, values in sorted(of.extra.items())),
            )
        _keep(self._tokens, token, (now + self._seconds, user), now)
        return user


class Authorizer:
    """``client`` may create SubjectAccessReviews. A yes and a no are kept for so many seconds."""

    def __init__(self, env: Env, client: Client, allowed: float, denied: float) -> None:
        self._env = env
        self._client = client
        self._allowed = allowed
        self._denied = denied
        self._access: dict[tuple[User, Attributes], tuple[float, bool]] = {}

    async def may(self, user: User, attributes: Attributes) -> bool:
        """Whether the user may. Raises ``Refused`` when nobody can say."""
        now, key = self._env.clock.monotonic(), (user, attributes)
        kept = self._access.get(key)
        if kept is not None and now < kept[0]:
            return kept[1]
        spec = authorization.SubjectAccessReviewSpec(
            user=user.name,
            uid=user.uid,
            groups=list(user.groups),
            extra={name: list(values) for name, values in user.extra},
        )
        if attributes.path:
            spec.nonResourceAttributes = authorization.NonResourceAttributes(
                verb=attributes.verb, path=attributes.path
            )
        else:
            spec.resourceAttributes = authorization.ResourceAttributes(
                verb=attributes.verb,
                version="v1",
                resource=attributes.resource,
                subresource=attributes.subresource,
                name=attributes.name,
            )
        try:
            answer = await self._client.create(authorization.SubjectAccessReview(spec=spec))
        except _ERRORS as error:
            self._env.log.warning("the API cannot say what %s may: %s", user.name, error)
            raise Refused(500, f"Authorization error (user={user.name}, {attributes})") from error
        allowed = bool(answer.status.allowed)
        until = now + (self._allowed if allowed else self._denied)
        _keep(self._access, key, (until, allowed), now)
        return allowed


def _of_certificate(certificate: dict[str, Any]) -> User:
    """``certificate`` as ``ssl`` gives it: common name is user, organizations are groups."""
    name, groups = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return User(name, groups=(*groups, "system:authenticated"))


def _keep(
    kept: dict[Key, tuple[float, Kept]], key: Key, value: tuple[float, Kept], now: float
) -> None:
    if len(kept) >= LIMIT:
        for old in [k for k, (until, _) in kept.items() if until <= now] or list(kept):
            del kept[old]
    kept[key] = value
