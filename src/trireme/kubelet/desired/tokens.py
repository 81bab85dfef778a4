"""Service-account tokens for pods, renewed before they run out.

In: a pod, an audience, a lifetime. Out: a token. Called by projected and CSI volumes. Rules:
``runtime.tokens``.
"""

from __future__ import annotations

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet.volumes.plugin import Token
from trireme.machinery.errors import ApiError
from trireme.runtime import tokens
from trireme.runtime.tokens import Issued

Key = tuple[str, str, int]


class ApiTokens:
    """Reads through the API client."""

    def __init__(self, env: Env, client: Client) -> None:
        self._env = env
        self._client = client
        self._kept: dict[Key, Issued] = {}

    async def token(self, pod: core.Pod, audience: str, expiration_seconds: int) -> Token:
        """A cached or a new token. Raises ApiError without either."""
        key, now = (pod.metadata.uid, audience, expiration_seconds), self._env.clock.now()
        kept = self._kept.get(key)
        if kept is not None and now < kept.renew:
            return Token(kept.token, kept.expires)
        spec = authentication.TokenRequestSpec(
            audiences=[audience] if audience else [],
            expirationSeconds=expiration_seconds,
            boundObjectRef=authentication.BoundObjectReference(
                kind="Pod", apiVersion="v1", name=pod.metadata.name, uid=pod.metadata.uid
            ),
        )
        account = pod.spec.serviceAccountName or "default"
        try:
            fresh = await tokens.request(
                self._client, self._env, pod.metadata.namespace, account, spec
            )
        except (ApiError, OSError):
            # The old one is still valid: retry in the next round.
            if kept is not None and now < kept.expires:
                return Token(kept.token, kept.expires)
            raise
        self._kept = {k: v for k, v in self._kept.items() if now < v.expires}
        self._kept[key] = fresh
        return Token(fresh.token, fresh.expires)
