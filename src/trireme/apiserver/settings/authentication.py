"""The settings of authentication, and the types of AuthenticationConfiguration.

Upstream: pkg/kubeapiserver/options/authentication.go, apiserver ``pkg/apis/apiserver``;
the defaults are upstream's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trireme.client.kubeconfig import Access
from trireme.machinery.configuration import Configuration

# Those that sign what anybody can check: no shared secrets, and never ``none``.
ALGORITHMS = (
    *("ES256", "ES384", "ES512"),
    *("PS256", "PS384", "PS512"),
    *("RS256", "RS384", "RS512"),
)


class Issuer(Configuration, frozen=True):
    """``url`` is the claim ``iss``; ``discoveryURL`` where its document is, if not below it."""

    url: str = ""
    discoveryURL: str = ""
    certificateAuthority: str = ""
    audiences: tuple[str, ...] = ()
    audienceMatchPolicy: str = ""
    egressSelectorType: str = ""


class ClaimValidationRule(Configuration, frozen=True):
    claim: str = ""
    requiredValue: str = ""
    expression: str = ""
    message: str = ""


class PrefixedClaimOrExpression(Configuration, frozen=True):
    claim: str = ""
    prefix: str | None = None
    expression: str = ""


class ClaimOrExpression(Configuration, frozen=True):
    claim: str = ""
    expression: str = ""


class ExtraMapping(Configuration, frozen=True):
    key: str = ""
    valueExpression: str = ""


class ClaimMappings(Configuration, frozen=True):
    username: PrefixedClaimOrExpression = PrefixedClaimOrExpression()
    groups: PrefixedClaimOrExpression = PrefixedClaimOrExpression()
    uid: ClaimOrExpression = ClaimOrExpression()
    extra: tuple[ExtraMapping, ...] = ()


class UserValidationRule(Configuration, frozen=True):
    expression: str = ""
    message: str = ""


class JWTAuthenticator(Configuration, frozen=True):
    issuer: Issuer = Issuer()
    claimValidationRules: tuple[ClaimValidationRule, ...] = ()
    claimMappings: ClaimMappings = ClaimMappings()
    userValidationRules: tuple[UserValidationRule, ...] = ()


class AnonymousAuthCondition(Configuration, frozen=True):
    path: str = ""


class AnonymousAuthConfig(Configuration, frozen=True):
    enabled: bool = False
    conditions: tuple[AnonymousAuthCondition, ...] = ()


class AuthenticationConfiguration(Configuration, frozen=True):
    jwt: tuple[JWTAuthenticator, ...] = ()
    anonymous: AnonymousAuthConfig | None = None


@dataclass(frozen=True)
class RequestHeader:
    """A front proxy, and in which headers it says who asks. ``authority``: of its certificates, in
    PEM; ``allowed_names``: their common names, any where it is empty."""

    authority: bytes
    allowed_names: tuple[str, ...] = ()
    username_headers: tuple[str, ...] = ()
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()
    # Reads the authority again.
    read: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class TokenWebhook:
    """Who is asked about tokens that nobody here knows. ``cache_ttl``: seconds."""

    access: Access
    version: str = "v1beta1"
    cache_ttl: float = 120.0


@dataclass(frozen=True)
class Authentication:
    """How requests are authenticated, besides certificates and service-account tokens.

    ``read``: the file of ``configuration`` as it is now, None where it comes from flags.
    ``algorithms``: of the signatures of its issuers' tokens.
    """

    request_header: RequestHeader | None = None
    configuration: AuthenticationConfiguration = field(default_factory=AuthenticationConfiguration)
    read: Callable[[], bytes] | None = None
    algorithms: tuple[str, ...] = ALGORITHMS
    webhook: TokenWebhook | None = None
    # Tokens that never expire: token -> (user, uid, groups); upstream's --token-auth-file.
    static_tokens: Mapping[str, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)
    anonymous: bool = True
    # --enable-bootstrap-token-auth.
    bootstrap_tokens: bool = False
