"""Tokens that live in Secrets of type bootstrap.kubernetes.io/token: --enable-bootstrap-token-auth.

In: a bearer token. Out: a user of the group system:bootstrappers, or None: upstream does not say
why one is not taken. Called by ``union``. Upstream: plugin/pkg/auth/authenticator/token/bootstrap;
https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/.
"""

from __future__ import annotations

import hmac

from trireme.api.core.v1.secret import Secret
from trireme.apiserver.authn.contract import Identity
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.request import User
from trireme.domain import bootstrap_tokens as tokens
from trireme.kit.clock import Clock


class BootstrapTokens:
    """Authenticates for the API server's own audiences."""

    def __init__(self, reader: Reader, own: tuple[str, ...], clock: Clock) -> None:
        self._reader = reader
        self._own = own
        self._clock = clock

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The user of a token that is there, has not ended and is for authentication."""
        parsed = tokens.parse(token)
        matching = tuple(item for item in self._own if item in audiences)
        if parsed is None or not matching:
            return None
        token_id, private = parsed
        secret = self._reader.get(Secret, tokens.NAMESPACE, tokens.PREFIX + token_id)
        if secret is None or secret.metadata.deletionTimestamp is not None:
            return None
        if secret.type != tokens.TYPE or tokens.is_expired(secret, self._clock.now()):
            return None
        held = secret.data.get(tokens.SECRET, b"")
        if not hmac.compare_digest(held, private.encode()):
            return None
        named = tokens.text(secret, tokens.ID) == token_id
        if not named or tokens.text(secret, tokens.AUTHENTICATION) != "true":
            return None
        try:
            groups = tokens.groups(secret)
        except ValueError:
            return None
        return Identity(User(tokens.USER + token_id, "", groups), matching)
