"""Tokens of service accounts, and when they are to be renewed.

In: an account, a lifetime, what the token is bound to. Out: a token. Called by the kubelet for pods
and by a manager for its controllers. Rules: KEP-1205; the kubelet's token manager: renewed at 80 %
of the life or after 24 h, with jitter so that tokens do not all renew at once.
"""

from __future__ import annotations

import msgspec

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.machinery import time

RENEW_AT = 0.8
RENEW_AFTER_SECONDS = 24 * 3600.0
JITTER_SECONDS = 10.0


class Issued(msgspec.Struct, frozen=True):
    """A token; when to renew it, and when it is no longer valid, in seconds since the epoch."""

    token: str
    renew: float
    expires: float


async def request(
    client: Client,
    env: Env,
    namespace: str,
    account: str,
    spec: authentication.TokenRequestSpec,
) -> Issued:
    """A new token of the account. ApiError, OSError."""
    now = env.clock.now()
    answer = await client.create_subresource(
        core.ServiceAccount,
        account,
        namespace,
        "token",
        authentication.TokenRequest(spec=spec),
        authentication.TokenRequest,
    )
    text = answer.status.expirationTimestamp
    expires = time.parse(text) if text else now + (spec.expirationSeconds or 0)
    life = min((expires - now) * RENEW_AT, RENEW_AFTER_SECONDS)
    jitter = min(JITTER_SECONDS, life * 0.1) * env.rng.random()
    return Issued(answer.status.token, now + life - jitter, expires)
