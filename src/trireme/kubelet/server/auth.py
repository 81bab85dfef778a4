"""Authentication and authorization of the kubelet's clients.

In: the connection's client certificate or a bearer token, method and path. Out: the user, or
``Refused``. Called by server/app for each request. Rules: reference "HTTP server": certificates of
the client CA, TokenReview (kept 2 min), SubjectAccessReview on a subresource of ``nodes`` (kept
5 min when allowed, 30 s when not). The API server decides.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

import msgspec

from trireme.api.authentication import v1 as authentication
from trireme.api.authorization import v1 as authorization
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet.server import routes
from trireme.machinery.errors import ApiError

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")

TOKEN_SECONDS = 120.0
ALLOWED_SECONDS = 300.0
DENIED_SECONDS = 30.0
LIMIT = 4096
# Other methods, HEAD among them, have no verb: they need the right to all verbs.
VERBS = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
# By the first segment of the path: the subresources of nodes, any one of which suffices.
SUBRESOURCES = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "statusz": ("statusz",),
    "flagz": ("configz",),
    "configz": ("configz", "proxy"),
    "healthz": ("healthz", "proxy"),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
}


class User(msgspec.Struct, frozen=True):
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Refused(Exception):
    """Status 401 or 403, or 500 when the API does not answer, and the text of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Auth:
    """``client`` has the identity of the node."""

    def __init__(self, env: Env, client: Client, node_name: str, *, anonymous: bool) -> None:
        self._env = env
        self._client = client
        self._node_name = node_name
        self._anonymous = anonymous
        self._tokens: dict[str, tuple[float, User | None]] = {}
        self._access: dict[tuple[User, str, str], tuple[float, bool]] = {}

    async def check(
        self, certificate: dict[str, Any] | None, authorization_: str, method: str, path: str
    ) -> User:
        """The user, who is authorized. Raises ``Refused``."""
        user = await self._authenticate(certificate, authorization_)
        verb = VERBS.get(method, "")
        subresources = SUBRESOURCES.get("".join(routes.split(path)[:1]), ("proxy",))
        for subresource in subresources:
            if await self._may(user, verb, subresource):
                return user
        listed = " ".join(subresources)
        raise Refused(
            403,
            f"Forbidden (user={user.name}, verb={verb}, resource=nodes, "
            f"subresource(s)=[{listed}])\n",
        )

    async def _authenticate(self, certificate: dict[str, Any] | None, authorization_: str) -> User:
        if certificate:
            user = _of_certificate(certificate)
            if user.name:
                return user
        scheme, _, token = authorization_.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            found = await self._of_token(token.strip())
            if found is not None:
                return found
            raise Refused(401, "Unauthorized")
        if self._anonymous:
            return User("system:anonymous", groups=("system:unauthenticated",))
        raise Refused(401, "Unauthorized")

    async def _of_token(self, token: str) -> User | None:
        now = self._env.clock.monotonic()
        kept = self._tokens.get(token)
        if kept is not None and now < kept[0]:
            return kept[1]
        try:
            answer = await self._client.create(
                authentication.TokenReview(spec=authentication.TokenReviewSpec(token=token))
            )
        except (ApiError, OSError) as error:
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
        _keep(self._tokens, token, (now + TOKEN_SECONDS, user), now)
        return user

    async def _may(self, user: User, verb: str, subresource: str) -> bool:
        now, key = self._env.clock.monotonic(), (user, verb, subresource)
        kept = self._access.get(key)
        if kept is not None and now < kept[0]:
            return kept[1]
        review = authorization.SubjectAccessReview(
            spec=authorization.SubjectAccessReviewSpec(
                user=user.name,
                uid=user.uid,
                groups=list(user.groups),
                extra={name: list(values) for name, values in user.extra},
                resourceAttributes=authorization.ResourceAttributes(
                    verb=verb,
                    version="v1",
                    resource="nodes",
                    subresource=subresource,
                    name=self._node_name,
                ),
            )
        )
        try:
            answer = await self._client.create(review)
        except (ApiError, OSError) as error:
            self._env.log.warning("the API cannot say what %s may: %s", user.name, error)
            raise Refused(
                500,
                f"Authorization error (user={user.name}, verb={verb}, resource=nodes, "
                f"subresource={subresource})",
            ) from error
        allowed = bool(answer.status.allowed)
        until = now + (ALLOWED_SECONDS if allowed else DENIED_SECONDS)
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
