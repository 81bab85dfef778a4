"""Tokens that live in Secrets of type kubernetes.io/service-account-token.

In: a bearer token. Out: the account's user, or ``Rejected``: the Secret must hold this very token,
and the account be the one that it was made for. ``used`` collects the Secrets whose use is to be
written down; ``controllers/token_use`` does. Called by ``union``. Upstream:
pkg/serviceaccount/legacy.go.
"""

from __future__ import annotations

import asyncio
import hmac

from trireme.api.core.v1.secret import Secret
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.apiserver.authn import service_accounts
from trireme.apiserver.authn.contract import Identity, Rejected
from trireme.apiserver.authn.keys import TokenKeys
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.request import User
from trireme.domain import service_account_tokens as tokens
from trireme.machinery import gotext

_INVALIDATED = "Token has been invalidated"


class LegacyTokens:
    """Authenticates by tokens in Secrets."""

    def __init__(self, keys: TokenKeys, reader: Reader) -> None:
        self._keys = keys
        self._reader = reader
        self.used: set[tuple[str, str]] = set()
        # Set when ``used`` has something new.
        self.news = asyncio.Event()

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The account of a token; None when it is not such a token."""
        claims = self._keys.claims(token, tokens.ISSUER)
        if claims is None:
            return None
        matching = tuple(item for item in self._keys.audiences if item in audiences)
        if not matching:
            raise Rejected(
                f"token audiences {gotext.quotes(self._keys.audiences)} is invalid for the target "
                f"audiences {gotext.quotes(audiences)}"
            )
        namespace, name, uid, secret_name = (
            _text(claims, key, label)
            for key, label in (
                (tokens.CLAIM_NAMESPACE, "namespace"),
                (tokens.CLAIM_ACCOUNT, "serviceAccountName"),
                (tokens.CLAIM_UID, "serviceAccountUID"),
                (tokens.CLAIM_SECRET, "secretName"),
            )
        )
        user = f"{tokens.USER}{namespace}:{name}"
        if _text(claims, "sub", "sub") != user:
            raise Rejected("sub claim is invalid")
        secret = self._reader.get(Secret, namespace, secret_name)
        if secret is None or secret.metadata.deletionTimestamp is not None:
            raise Rejected(_INVALIDATED)
        held = secret.data.get(tokens.TOKEN, b"")
        if not hmac.compare_digest(held, token.encode(errors="surrogateescape")):
            raise Rejected("Token does not match server's copy")
        account = self._reader.get(ServiceAccount, namespace, name)
        if account is None:
            raise Rejected(f"serviceaccounts {gotext.quote(name)} not found")
        if account.metadata.deletionTimestamp is not None:
            raise Rejected(f"ServiceAccount {namespace}/{name} has been deleted")
        if account.metadata.uid != uid:
            raise Rejected(
                f"ServiceAccount UID ({account.metadata.uid}) does not match claim ({uid})"
            )
        self.used.add((namespace, secret_name))
        self.news.set()
        if secret.metadata.labels.get(tokens.INVALID_SINCE):
            raise Rejected(
                f"the token in secret {namespace}/{secret_name} for service account "
                f"{namespace}/{name} has been marked invalid. Use tokens from the TokenRequest API "
                f"or manually created secret-based tokens, or remove the '{tokens.INVALID_SINCE}' "
                "label from the secret to temporarily allow use of this token"
            )
        groups = (service_accounts.ALL_GROUP, f"{service_accounts.ALL_GROUP}:{namespace}")
        return Identity(User(user, uid, groups), matching)


def _text(claims: dict[str, object], key: str, label: str) -> str:
    found = claims.get(key)
    if not found or not isinstance(found, str):
        raise Rejected(f"{label} claim is missing")
    return found
