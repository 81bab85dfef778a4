"""The authenticators in upstream's order: client certificate, bearer token, anonymous.

In: a request. Out: its user, with the group of all authenticated users. A credential that none
accepts is 401, never anonymous, and only the log has the cause.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/.
"""

from __future__ import annotations

import base64
import binascii

from trireme.apiserver.authn.bootstrap_tokens import BootstrapTokens
from trireme.apiserver.authn.certificates import Certificates
from trireme.apiserver.authn.contract import Identity, Rejected, TokenAuthenticator
from trireme.apiserver.authn.keys import TokenKeys
from trireme.apiserver.authn.legacy_tokens import LegacyTokens
from trireme.apiserver.authn.service_accounts import ServiceAccountTokens
from trireme.apiserver.authn.tokens import StaticTokens, Tokens
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.gates import Gates
from trireme.apiserver.request import ANONYMOUS, Request, User
from trireme.kit.env import Env
from trireme.machinery import errors

_SPACE_BEFORE_TOKEN = (
    "the provided Authorization header contains extra space before the bearer token, and is ignored"
)
_WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."


class UnionAuthenticator:
    """Who sends a request. ``tokens`` and ``keys`` are there for TokenReview and TokenRequest."""

    def __init__(self, config: ApiServerConfig, env: Env, reader: Reader, gates: Gates) -> None:
        self.keys = TokenKeys(config.service_accounts)
        self._log = env.log
        self._anonymous = config.anonymous
        self._certificates = Certificates(
            env.clock, uids=gates.on("AllowParsingUserUIDFromCertAuth")
        )
        self.legacy = LegacyTokens(self.keys, reader)
        sorts: list[TokenAuthenticator] = [
            StaticTokens(config.static_tokens, self.keys.audiences),
            self.legacy,
            ServiceAccountTokens(self.keys, reader, env.clock),
        ]
        if config.bootstrap_tokens:
            sorts.append(BootstrapTokens(reader, self.keys.audiences, env.clock))
        self.tokens = Tokens(sorts, env.clock)

    async def authenticate(self, request: Request) -> User:
        """The user; 401 for a bad credential."""
        problems: list[str] = []
        token = bearer_token(request)
        if request.peer_certificate is not None:
            try:
                identity = self._certificates.authenticate(request.peer_certificate)
            except Rejected as problem:
                problems.append(str(problem))
            else:
                if identity is not None:
                    return identity.user
        if token:
            try:
                identity = self.tokens.authenticate(token, self.keys.audiences)
            except Rejected as problem:
                problems.append(str(problem))
            else:
                if identity is not None:
                    return identity.user
                problems.append("unknown token")
        if problems or not self._anonymous:
            self._log.info(
                "%s %s: unauthorized: %s", request.method, request.path, "; ".join(problems)
            )
            raise errors.unauthorized("Unauthorized")
        return ANONYMOUS

    def review(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """Who a token stands for, for another server; None or ``Rejected`` as for requests."""
        return self.tokens.authenticate(token, audiences)


def bearer_token(request: Request) -> str:
    """The token of the Authorization header, or of a browser's WebSocket; "" for none.

    Browsers cannot set headers on a WebSocket, so the token comes as one of its protocols.
    """
    scheme, *rest = request.headers.get("authorization", "").strip().split(" ", 2)
    if scheme.lower() == "bearer" and rest:
        if not rest[0] and len(rest) == 2:
            request.warnings.append(_SPACE_BEFORE_TOKEN)
        return rest[0]
    for protocol in request.headers.get("sec-websocket-protocol", "").split(","):
        encoded = protocol.strip().removeprefix(_WEBSOCKET_TOKEN)
        if encoded != protocol.strip():
            return _decoded(encoded)
    return ""


def _decoded(encoded: str) -> str:
    padded = encoded + "=" * (-len(encoded) % 4)
    try:
        return base64.urlsafe_b64decode(padded).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise errors.unauthorized("Unauthorized") from None
