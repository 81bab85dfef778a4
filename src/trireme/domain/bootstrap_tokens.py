"""Bootstrap tokens: Secrets in kube-system with which a new node makes itself known. Pure.

For the API server, which takes such tokens, and for the controllers that sign with them and delete
them. Upstream: k8s.io/cluster-bootstrap;
https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/.
"""

from __future__ import annotations

import re
from typing import Final

from trireme.api.core.v1.secret import Secret
from trireme.machinery import time

TYPE: Final = "bootstrap.kubernetes.io/token"
NAMESPACE: Final = "kube-system"
PREFIX: Final = "bootstrap-token-"
ID, SECRET, EXPIRATION, GROUPS = "token-id", "token-secret", "expiration", "auth-extra-groups"
AUTHENTICATION, SIGNING = "usage-bootstrap-authentication", "usage-bootstrap-signing"
USER: Final = "system:bootstrap:"
GROUP: Final = "system:bootstrappers"

_TOKEN: Final = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})", re.ASCII)
_GROUP: Final = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", re.ASCII)
_NAME: Final = re.compile(r"bootstrap-token-([a-z0-9]{6})", re.ASCII)


def parse(token: str) -> tuple[str, str] | None:
    """Its id, which is no secret, and its secret; None for a text that is no bootstrap token."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else None


def text(secret: Secret, key: str) -> str:
    """A value of the Secret, "" for none."""
    return secret.data.get(key, b"").decode(errors="replace")


def expires_at(secret: Secret) -> float | None:
    """When the token ends, in seconds since 1970; None for never. What cannot be read has ended."""
    value = text(secret, EXPIRATION)
    if not value:
        return None
    try:
        return time.parse(value)
    except ValueError:
        return 0.0


def is_expired(secret: Secret, now: float) -> bool:
    """Whether the token has ended."""
    ends = expires_at(secret)
    return ends is not None and ends <= now


def groups(secret: Secret) -> tuple[str, ...]:
    """The groups of its user. ValueError for one outside of system:bootstrappers."""
    extra = text(secret, GROUPS)
    found = {GROUP}
    for name in extra.split(",") if extra else ():
        if not _GROUP.fullmatch(name):
            raise ValueError(f'bootstrap group "{name}" is invalid')
        found.add(name)
    return tuple(sorted(found))


def signing(secret: Secret, now: float) -> tuple[str, str] | None:
    """The id and the secret to sign with; None for a token that is not for signing, or not now."""
    named = _NAME.fullmatch(secret.metadata.name)
    token_id, private = text(secret, ID), text(secret, SECRET)
    if named is None or not private or token_id != named[1] or is_expired(secret, now):
        return None
    return (token_id, private) if text(secret, SIGNING) == "true" else None
