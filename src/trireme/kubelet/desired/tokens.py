"""Service-account tokens for pods, renewed before they run out.

In: a pod, an audience, a lifetime. Out: a token. Called by projected and CSI volumes. Rules:
KEP-1205; reference "Loops" (token manager): renew at 80 % of the lifetime or after 24 h, with
jitter so that a node's tokens do not all renew at once.
"""

from __future__ import annotations

import msgspec

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet.volumes.plugin import Token
from trireme.machinery import time
from trireme.machinery.errors import ApiError

RENEW_AT = 0.8
RENEW_AFTER_SECONDS = 24 * 3600.0
JITTER_SECONDS = 10.0

Key = tuple[str, str, int]


class _Kept(msgspec.Struct):
    token: str
    renew: float
    expires: float


class ApiTokens:
    """Reads through the API client."""

    def __init__(self, env: Env, client: Client) -> None:
        self._env = env
        self._client = client
        self._kept: dict[Key, _Kept] = {}

    async def token(self, pod: core.Pod, audience: str, expiration_seconds: int) -> Token:
        """A cached or a new token. Raises ApiError without either."""
        key, now = (pod.metadata.uid, audience, expiration_seconds), self._env.clock.now()
        kept = self._kept.get(key)
        if kept is not None and now < kept.renew:
            return Token(kept.token, kept.expires)
        try:
            fresh = await self._request(pod, audience, expiration_seconds)
        except (ApiError, OSError):
            # The old one is still valid: retry in the next round.
            if kept is not None and now < kept.expires:
                return Token(kept.token, kept.expires)
            raise
        self._kept = {k: v for k, v in self._kept.items() if now < v.expires}
        self._kept[key] = fresh
        return Token(fresh.token, fresh.expires)

    async def _request(self, pod: core.Pod, audience: str, expiration_seconds: int) -> _Kept:
        now = self._env.clock.now()
        request = authentication.TokenRequest(
            spec=authentication.TokenRequestSpec(
                audiences=[audience] if audience else [],
                expirationSeconds=expiration_seconds,
                boundObjectRef=authentication.BoundObjectReference(
                    kind="Pod", apiVersion="v1", name=pod.metadata.name, uid=pod.metadata.uid
                ),
            )
        )
        answer = await self._client.create_subresource(
            core.ServiceAccount,
            pod.spec.serviceAccountName or "default",
            pod.metadata.namespace,
            "token",
            request,
            authentication.TokenRequest,
        )
        text = answer.status.expirationTimestamp
        expires = time.parse(text) if text else now + expiration_seconds
        life = min((expires - now) * RENEW_AT, RENEW_AFTER_SECONDS)
        jitter = min(JITTER_SECONDS, life * 0.1) * self._env.rng.random()
        return _Kept(answer.status.token, now + life - jitter, expires)
