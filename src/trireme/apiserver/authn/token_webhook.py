"""Tokens that another server knows: --authentication-token-webhook-config-file.

In: a bearer token and its target audiences. Out: the user that the server answers, None, or
``Rejected`` with its error. What it answered is kept for a while. Called by ``tokens``.
Upstream: apiserver ``plugin/pkg/authenticator/token/webhook``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.apiserver.authn.contract import Identity, Rejected
from trireme.apiserver.request import User
from trireme.apiserver.settings.authentication import TokenWebhook
from trireme.apiserver.webhook_client import WebhookClient, WebhookError
from trireme.kit.env import Env

CACHE_SIZE = 10_000


class _UserInfo(msgspec.Struct):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...]] | None = None


class _Status(msgspec.Struct):
    authenticated: bool = False
    user: _UserInfo = msgspec.field(default_factory=_UserInfo)
    audiences: tuple[str, ...] | None = None
    error: str = ""


class TokenReviews:
    """Asks a webhook. ``own``: the audiences of the API server. ``close`` when done."""

    def __init__(self, settings: TokenWebhook, own: tuple[str, ...], env: Env) -> None:
        self._client = WebhookClient(settings.access, env)
        self._version = f"authentication.k8s.io/{settings.version}"
        self._ttl = settings.cache_ttl
        self._own = own
        self._env = env
        self._known: dict[tuple[str, tuple[str, ...]], tuple[_Status, float]] = {}

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The user of a token, for whichever of the audiences it was made."""
        status = await self._status(token, audiences)
        made_for = status.audiences or self._own
        matching = tuple(item for item in audiences if item in made_for)
        if not status.authenticated:
            if status.error:
                raise Rejected(status.error)
            return None
        if audiences and not matching:
            return None
        user = status.user
        return Identity(
            User(user.username, user.uid, user.groups or (), user.extra or {}), matching
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._client.close()

    async def _status(self, token: str, audiences: tuple[str, ...]) -> _Status:
        key = token, audiences
        now = self._env.clock.monotonic()
        known = self._known.get(key)
        if known is not None and now < known[1]:
            return known[0]
        spec: dict[str, Any] = {"token": token, "audiences": list(audiences)}
        review = {"kind": "TokenReview", "apiVersion": self._version, "spec": spec}
        try:
            answer = await self._client.review(review)
            status = msgspec.convert(answer.get("status") or {}, _Status)
        except WebhookError as error:
            self._env.log.error("failed to make webhook authenticator request: %s", error)
            raise Rejected(str(error)) from None
        except msgspec.ValidationError as error:
            raise Rejected(f"the webhook's TokenReview cannot be read: {error}") from None
        if len(self._known) >= CACHE_SIZE:
            self._known.clear()
        self._known[key] = status, now + self._ttl
        return status
