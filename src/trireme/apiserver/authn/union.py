"""The authenticators in upstream's order: front proxy, client certificate, bearer token, anonymous.

In: a request. Out: its user, with the group of all authenticated users. A credential that none
accepts is 401, never anonymous, and only the log has the cause.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/.
"""

from __future__ import annotations

import base64
import binascii

from trireme.apiserver.authn import configuration, oidc
from trireme.apiserver.authn.authorities import Authorities
from trireme.apiserver.authn.bootstrap_tokens import BootstrapTokens
from trireme.apiserver.authn.certificates import Certificates
from trireme.apiserver.authn.contract import Identity, Rejected, TokenAuthenticator
from trireme.apiserver.authn.keys import TokenKeys
from trireme.apiserver.authn.legacy_tokens import LegacyTokens
from trireme.apiserver.authn.request_header import RequestHeaders
from trireme.apiserver.authn.service_accounts import ServiceAccountTokens, UnknownKeys
from trireme.apiserver.authn.token_webhook import TokenReviews
from trireme.apiserver.authn.tokens import StaticTokens, Tokens
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.gates import Gates
from trireme.apiserver.monitoring.access import ERROR, FAILURE, AccessMetrics
from trireme.apiserver.request import ANONYMOUS, Request, User
from trireme.apiserver.settings.authentication import AuthenticationConfiguration
from trireme.kit.env import Env
from trireme.machinery import errors

_SPACE_BEFORE_TOKEN = (
    "the provided Authorization header contains extra space before the bearer token, and is ignored"
)
_WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."


class UnionAuthenticator:
    """Who sends a request. ``tokens`` and ``keys`` are there for TokenReview and TokenRequest."""

    def __init__(
        self,
        config: ApiServerConfig,
        env: Env,
        reader: Reader,
        gates: Gates,
        metrics: AccessMetrics,
    ) -> None:
        settings = config.authentication
        self.keys = TokenKeys(config.service_accounts)
        self._log = env.log
        self._env = env
        self._now = env.clock.monotonic
        self._metrics = metrics
        self._algorithms = settings.algorithms
        proxy = settings.request_header
        self.authorities = Authorities(
            config.client_authority, b"" if proxy is None else proxy.authority
        )
        self._proxy = None if proxy is None else RequestHeaders(proxy)
        configured = settings.configuration.anonymous
        self._anonymous = settings.anonymous if configured is None else configured.enabled
        self._anonymous_paths = frozenset(
            item.path for item in (configured.conditions if configured is not None else ())
        )
        self._certificates = Certificates(
            env.clock, uids=gates.on("AllowParsingUserUIDFromCertAuth")
        )
        self.legacy = LegacyTokens(self.keys, reader)
        accounts = ServiceAccountTokens(self.keys, reader, env.clock)
        sorts: list[TokenAuthenticator] = [
            StaticTokens(settings.static_tokens, self.keys.audiences),
            self.legacy,
            accounts,
        ]
        if settings.bootstrap_tokens:
            sorts.append(BootstrapTokens(reader, self.keys.audiences, env.clock))
        self.tokens = Tokens(sorts, env.clock)
        self.issuers = self._made(settings.configuration)
        webhook = settings.webhook
        self._webhook = None if webhook is None else TokenReviews(webhook, self.keys.audiences, env)
        make = config.service_accounts.signer
        self.signer = None if make is None else make(env)
        self._unknown_keys: UnknownKeys | None = None
        if self.signer is not None:
            self.keys.use(self.signer)
            self._unknown_keys = UnknownKeys(self.signer, accounts)
        self._use(self.issuers)

    def _made(self, config: AuthenticationConfiguration) -> oidc.Issuers | None:
        if not config.jwt:
            return None
        compiled = configuration.compiled(config, self.keys.issuers)
        return oidc.Issuers(compiled, self._algorithms, self.keys.audiences, self._env)

    def _use(self, issuers: oidc.Issuers | None) -> None:
        self.issuers = issuers
        remote = self._unknown_keys, issuers, self._webhook
        self.tokens.remote = tuple(item for item in remote if item is not None)

    async def reconfigure(self, config: AuthenticationConfiguration) -> None:
        """Use other issuers, once all of them answer. ValueError, ``IssuerError``: nothing is
        changed then."""
        made, before = self._made(config), self.issuers
        try:
            if made is not None:
                await made.reach()
        except BaseException:
            if made is not None:
                await made.close()
            raise
        self._use(made)
        if before is not None:
            await before.close()

    async def start(self) -> None:
        """Reach the signer of tokens, where it is elsewhere; SignerError."""
        if self.signer is not None:
            await self.signer.start()

    async def close(self) -> None:
        """Close the connections to issuers and webhooks."""
        for item in self.tokens.remote:
            await item.close()

    async def authenticate(self, request: Request) -> User:
        """The user; 401 for a bad credential."""
        began = self._now()
        problems: list[str] = []
        user = await self._authenticated(request, problems)
        if user is None and not problems and self._is_anonymous(request):
            user = ANONYMOUS
        if user is None:
            self._metrics.unauthenticated(ERROR if problems else FAILURE, self._now() - began)
            self._log.info(
                "%s %s: unauthorized: %s", request.method, request.path, "; ".join(problems)
            )
            raise errors.unauthorized("Unauthorized")
        self._metrics.authenticated(user, self._now() - began)
        return user

    def _is_anonymous(self, request: Request) -> bool:
        paths = self._anonymous_paths
        return self._anonymous and (not paths or request.path in paths)

    async def _authenticated(self, request: Request, problems: list[str]) -> User | None:
        """Whom the request's credentials stand for; None where there are none, or ``problems``
        say what is wrong with them."""
        token = bearer_token(request)
        if self._proxy is not None:
            user = self._by_proxy(self._proxy, request, problems)
            if user is not None:
                return user
        certificate = request.peer_certificate
        if certificate is not None:
            try:
                if not self.authorities.is_clients(certificate, request.peer_chain):
                    raise Rejected("x509: certificate signed by unknown authority")
                identity = self._certificates.authenticate(certificate)
            except Rejected as problem:
                problems.append(str(problem))
            else:
                if identity is not None:
                    return identity.user
        if token:
            try:
                identity = self.tokens.known(token, self.keys.audiences)
                if identity is None:
                    identity = await self.tokens.authenticate(token, self.keys.audiences)
            except Rejected as problem:
                problems.append(str(problem))
            else:
                if identity is not None:
                    return identity.user
                problems.append("unknown token")
        return None

    def _by_proxy(
        self, proxy: RequestHeaders, request: Request, problems: list[str]
    ) -> User | None:
        """Whom the front proxy says that it asks for. Its headers go, whoever has sent them."""
        try:
            certificate = request.peer_certificate
            if certificate is None:
                return None
            if not self.authorities.is_proxys(certificate, request.peer_chain):
                return None
            self._certificates.check_times(certificate)
            identity = proxy.authenticate(request, certificate)
        except Rejected as problem:
            problems.append(str(problem))
            return None
        finally:
            proxy.clear(request)
        return None if identity is None else identity.user

    def clear_identity(self, request: Request) -> None:
        """Take away the headers by which a front proxy says who asks: before others see them."""
        if self._proxy is not None:
            self._proxy.clear_all(request)

    async def review(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """Who a token stands for, for another server; None or ``Rejected`` as for requests."""
        return await self.tokens.authenticate(token, audiences)


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
