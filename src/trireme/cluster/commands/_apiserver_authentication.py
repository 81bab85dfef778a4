"""Flags of the API server's authentication, and of the tokens that it makes.

Upstream: pkg/kubeapiserver/options/authentication.go, apiserver ``server/options``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups, Kind, Refused

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
    from trireme.apiserver.settings.authentication import (
        Authentication,
        AuthenticationConfiguration,
        RequestHeader,
        TokenWebhook,
    )
    from trireme.apiserver.settings.signing import TokenSigner
    from trireme.kit.env import Env

_TEXT: Final = kinds.matching("text", r"[ -~]+", "must be printable ASCII")
_HEADER: Final = kinds.several(
    kinds.matching("header", r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "must be the name of a header")
)
_ALGORITHM: Final = kinds.several(
    kinds.one_of({name: name for name in (f"{kind}{bits}" for kind in ("ES", "PS", "RS")
                                          for bits in (256, 384, 512))})
)  # fmt: skip
_KEYS: Final = kinds.several(kinds.content("file", lambda data: _split(data)))
_LONGEST: Final = 2**32
# Where it matters whether it was given.
_SWITCH: Final = Kind(
    "bool", kinds.BOOL.parse, lambda value: "" if value is None else kinds.BOOL.show(value),
    alone="true",
)  # fmt: skip


@dataclass(frozen=True)
class Oidc:
    """What the flags ``--oidc-*`` say."""

    issuer_url: str = ""
    client_id: str = ""
    authority: Path | None = None
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    algorithms: tuple[str, ...] = ("RS256",)
    required_claims: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Proxy:
    """What the flags ``--requestheader-*`` say."""

    authority: Path | None = None
    allowed_names: tuple[str, ...] = ()
    username_headers: tuple[str, ...] = ()
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accounts:
    """What the flags ``--service-account-*`` say."""

    issuers: tuple[str, ...] = ()
    signing_key: bytes = b""
    endpoint: str = ""
    keys: tuple[tuple[bytes, ...], ...] = ()
    jwks_uri: str = ""
    extend_expiration: bool = True
    max_expiration: float = 0.0


@dataclass(frozen=True)
class Options:
    anonymous: bool | None = None
    audiences: tuple[str, ...] = ()
    configuration: Path | None = None
    bootstrap_tokens: bool = False
    client_authority: Path | None = None
    token_file: Path | None = None
    webhook_config: Path | None = None
    webhook_version: str = "v1beta1"
    webhook_ttl: float = 120.0
    oidc: Oidc = field(default_factory=Oidc)
    proxy: Proxy = field(default_factory=Proxy)
    accounts: Accounts = field(default_factory=Accounts)


_GROUPS: Final[Groups] = {
    "Authentication": (
        Flag(
            "anonymous-auth",
            "anonymous",
            _SWITCH,
            "Take requests without credentials as those of system:anonymous.",
        ),
        Flag(
            "api-audiences",
            "audiences",
            kinds.several(_TEXT),
            "Audiences of the API server; default: the issuers of service-account tokens.",
        ),
        Flag(
            "authentication-config",
            "configuration",
            kinds.FILE,
            "A file of kind AuthenticationConfiguration, read again when it changes.",
        ),
        Flag(
            "enable-bootstrap-token-auth",
            "bootstrap_tokens",
            kinds.BOOL,
            "Take the tokens in Secrets of type bootstrap.kubernetes.io/token in kube-system.",
        ),
        Flag(
            "client-ca-file",
            "client_authority",
            kinds.FILE,
            "Authorities of clients' certificates besides the cluster's own; read again when it"
            " changes.",
        ),
        Flag(
            "token-auth-file",
            "token_file",
            kinds.FILE,
            'Tokens that never expire: lines of TOKEN,USER,UID,"GROUP,GROUP".',
        ),
        Flag(
            "authentication-token-webhook-config-file",
            "webhook_config",
            kinds.FILE,
            "A kubeconfig: who is asked about tokens that nobody here knows.",
        ),
        Flag(
            "authentication-token-webhook-version",
            "webhook_version",
            kinds.one_of({"v1": "v1", "v1beta1": "v1beta1"}),
            "In which version of TokenReview.",
        ),
        Flag(
            "authentication-token-webhook-cache-ttl",
            "webhook_ttl",
            kinds.duration(),
            "How long its answers are kept.",
        ),
        Flag(
            "oidc-issuer-url",
            "oidc.issuer_url",
            kinds.matching("url", r"https://[^\s/]+(/\S*)?", "must be an https URL"),
            "Who makes the tokens of OpenID Connect.",
        ),
        Flag("oidc-client-id", "oidc.client_id", _TEXT, "For which client they are made."),
        Flag("oidc-ca-file", "oidc.authority", kinds.FILE, "The authority of its certificate."),
        Flag("oidc-username-claim", "oidc.username_claim", _TEXT, "The claim with the user."),
        Flag(
            "oidc-username-prefix",
            "oidc.username_prefix",
            _TEXT,
            "What users' names begin with; - for nothing; default: the issuer's URL and #, nothing"
            " for the claim email.",
        ),
        Flag("oidc-groups-claim", "oidc.groups_claim", _TEXT, "The claim with the groups."),
        Flag("oidc-groups-prefix", "oidc.groups_prefix", _TEXT, "What groups begin with."),
        Flag(
            "oidc-signing-algs",
            "oidc.algorithms",
            _ALGORITHM,
            "Algorithms of signatures that are taken.",
        ),
        Flag(
            "oidc-required-claim",
            "oidc.required_claims",
            kinds.mapping("pairs", _TEXT),
            "CLAIM=VALUE that has to be in the token; may be given several times.",
        ),
        Flag(
            "requestheader-client-ca-file",
            "proxy.authority",
            kinds.FILE,
            "The authority of the front proxy's certificate; read again when it changes.",
        ),
        Flag(
            "requestheader-allowed-names",
            "proxy.allowed_names",
            kinds.several(_TEXT),
            "Common names that its certificate may have; default: any.",
        ),
        Flag(
            "requestheader-username-headers",
            "proxy.username_headers",
            _HEADER,
            "Headers with the user's name.",
        ),
        Flag(
            "requestheader-uid-headers",
            "proxy.uid_headers",
            _HEADER,
            "Headers with the user's UID.",
        ),
        Flag(
            "requestheader-group-headers",
            "proxy.group_headers",
            _HEADER,
            "Headers with the user's groups.",
        ),
        Flag(
            "requestheader-extra-headers-prefix",
            "proxy.extra_prefixes",
            _HEADER,
            "What headers with more about the user begin with.",
        ),
        Flag(
            "service-account-issuer",
            "accounts.issuers",
            kinds.several(_TEXT),
            "Issuers of service-account tokens: the first makes them, all are accepted.",
        ),
        Flag(
            "service-account-signing-key-file",
            "accounts.signing_key",
            kinds.PRIVATE_KEY,
            "The key that signs them; default: the cluster's own.",
        ),
        Flag(
            "service-account-signing-endpoint",
            "accounts.endpoint",
            kinds.matching("socket", r"@?[!-~]+", "must be the path of a socket, or @NAME"),
            "The socket of a signer of tokens (externaljwt v1) instead of keys; @NAME: abstract.",
        ),
        Flag(
            "service-account-key-file",
            "accounts.keys",
            _KEYS,
            "Public or private keys by which they are accepted, besides that one.",
        ),
        Flag(
            "service-account-jwks-uri",
            "accounts.jwks_uri",
            kinds.matching("url", r"https://[^\s/]+(/\S*)?", "must be an https URL"),
            "Where others find these keys; default: here.",
        ),
        Flag(
            "service-account-extend-token-expiration",
            "accounts.extend_expiration",
            kinds.BOOL,
            "Tokens that every pod gets hold for a year, whatever they say.",
        ),
        Flag(
            "service-account-max-token-expiration",
            "accounts.max_expiration",
            kinds.duration(),
            "For how long a token holds at most; 0: no limit.",
        ),
        Refused(
            "service-account-lookup",
            "a token does not outlive what it is bound to",
            ("true",),
        ),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    accounts = _accounts(options, config.service_accounts)
    read = None
    authority = config.client_authority
    if options.client_authority is not None:
        read = _joined(authority, options.client_authority)
        authority = read()
    authentication = _authentication(options, config.authentication, accounts, authority)
    return dataclasses.replace(
        config,
        service_accounts=accounts,
        client_authority=authority,
        read_client_authority=read,
        authentication=authentication,
    )


def _authentication(
    options: Options, before: Authentication, accounts: ServiceAccountKeys, client_authority: bytes
) -> Authentication:
    from trireme.apiserver.authn import configuration as configurations
    from trireme.apiserver.authn import token_file
    from trireme.apiserver.settings.authentication import ALGORITHMS

    path = options.configuration
    found = _configuration(options, before.configuration)
    flag = "--oidc-issuer-url" if path is None else f"--authentication-config: {path}"
    try:
        configurations.compiled(found, accounts.issuers)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None
    if found.anonymous is not None and options.anonymous is not None:
        raise ValueError(
            "--anonymous-auth flag cannot be set when anonymous field is configured in "
            "authentication configuration file"
        )
    tokens = before.static_tokens
    if options.token_file is not None:
        try:
            tokens = token_file.parse(options.token_file.read_text())
        except (ValueError, OSError) as error:
            raise ValueError(f"--token-auth-file: {error}") from None
    return dataclasses.replace(
        before,
        request_header=_request_header(options.proxy, client_authority) or before.request_header,
        configuration=found,
        read=None if path is None else path.read_bytes,
        algorithms=options.oidc.algorithms if options.oidc.issuer_url else ALGORITHMS,
        webhook=_webhook(options),
        static_tokens=tokens,
        anonymous=options.anonymous is not False,
        bootstrap_tokens=options.bootstrap_tokens,
    )


def _configuration(
    options: Options, before: AuthenticationConfiguration
) -> AuthenticationConfiguration:
    from trireme.apiserver.authn import configuration as rules
    from trireme.apiserver.settings import authentication as configurations

    oidc = options.oidc
    if options.configuration is not None:
        try:
            found = rules.decode(options.configuration.read_bytes())
        except (ValueError, OSError) as error:
            text = f"--authentication-config: {options.configuration}: {error}"
            raise ValueError(text) from None
        if oidc != Oidc():
            raise ValueError("authentication-config file and oidc-* flags are mutually exclusive")
        return found
    if bool(oidc.issuer_url) != bool(oidc.client_id):
        raise ValueError("--oidc-issuer-url and --oidc-client-id must be specified together")
    if not oidc.issuer_url:
        if oidc != Oidc():
            raise ValueError(
                "--oidc-issuer-url and --oidc-client-id must be set for other --oidc-*"
            )
        return before
    prefix = oidc.username_prefix
    if not prefix and oidc.username_claim != "email":
        prefix = f"{oidc.issuer_url}#"
    groups = configurations.PrefixedClaimOrExpression()
    if oidc.groups_claim:
        groups = configurations.PrefixedClaimOrExpression(oidc.groups_claim, oidc.groups_prefix)
    authenticator = configurations.JWTAuthenticator(
        issuer=configurations.Issuer(
            url=oidc.issuer_url,
            audiences=(oidc.client_id,),
            certificateAuthority="" if oidc.authority is None else oidc.authority.read_text(),
        ),
        claimValidationRules=tuple(
            configurations.ClaimValidationRule(claim=claim, requiredValue=value)
            for claim, value in sorted(dict(oidc.required_claims).items())
        ),
        claimMappings=configurations.ClaimMappings(
            username=configurations.PrefixedClaimOrExpression(
                oidc.username_claim, "" if prefix == "-" else prefix
            ),
            groups=groups,
        ),
    )
    return configurations.AuthenticationConfiguration(jwt=(authenticator,))


def _request_header(proxy: Proxy, own: bytes) -> RequestHeader | None:
    from trireme.apiserver.authn import authorities
    from trireme.apiserver.settings.authentication import RequestHeader

    if proxy.authority is None:
        if proxy != Proxy():
            raise ValueError("--requestheader-client-ca-file is required by --requestheader-*")
        return None
    bundle = proxy.authority.read_bytes()
    try:
        found = set(authorities.certificates(bundle))
    except ValueError:
        raise ValueError("--requestheader-client-ca-file: holds no certificate in PEM") from None
    clients = authorities.certificates(own) if own else []
    if not proxy.allowed_names and not found.isdisjoint(clients):
        raise ValueError(
            "--requestheader-client-ca-file and --client-ca-file contain overlapping "
            "certificates; --requestheader-allowed-names must be specified to ensure regular "
            "client certificates cannot set authenticating proxy headers for arbitrary users"
        )
    if not proxy.username_headers:
        raise ValueError("--requestheader-client-ca-file needs --requestheader-username-headers")
    return RequestHeader(
        authority=bundle,
        allowed_names=proxy.allowed_names,
        username_headers=proxy.username_headers,
        uid_headers=proxy.uid_headers,
        group_headers=proxy.group_headers,
        extra_prefixes=proxy.extra_prefixes,
        read=proxy.authority.read_bytes,
    )


def _webhook(options: Options) -> TokenWebhook | None:
    from trireme.apiserver.settings.authentication import TokenWebhook
    from trireme.client import kubeconfig

    if options.webhook_config is None:
        return None
    try:
        access = kubeconfig.load(options.webhook_config)
    except kubeconfig.KubeconfigError as error:
        raise ValueError(f"--authentication-token-webhook-config-file: {error}") from None
    return TokenWebhook(access, options.webhook_version, options.webhook_ttl)


def _accounts(options: Options, keys: ServiceAccountKeys) -> ServiceAccountKeys:
    accounts = options.accounts
    if len(set(accounts.issuers)) < len(accounts.issuers):
        raise ValueError("--service-account-issuer: the same issuer is specified twice")
    if accounts.max_expiration and not 3600 <= accounts.max_expiration <= _LONGEST:
        raise ValueError(
            "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds"
        )
    if accounts.endpoint and (accounts.signing_key or accounts.keys):
        raise ValueError(
            "can't set `--service-account-signing-key-file` and/or `--service-account-key-file` "
            "with `--service-account-signing-endpoint` (They are mutually exclusive)"
        )
    if accounts.endpoint:
        keys = dataclasses.replace(keys, signing_key=b"", public_keys=())
    public = tuple(pem for some in accounts.keys for pem in some)
    if accounts.signing_key:
        # What components of the cluster have signed goes on.
        public += (keys.signing_key,) if keys.signing_key else ()
    issuers = accounts.issuers or keys.issuers
    return dataclasses.replace(
        keys,
        signing_key=accounts.signing_key or keys.signing_key,
        public_keys=(*keys.public_keys, *public),
        issuer=issuers[0],
        other_issuers=issuers[1:],
        audiences=options.audiences or keys.audiences,
        jwks_uri=accounts.jwks_uri,
        signer=_signer(accounts.endpoint) if accounts.endpoint else None,
        extend_expiration=accounts.extend_expiration,
        max_expiration=int(accounts.max_expiration),
    )


def _signer(endpoint: str) -> Callable[[Env], TokenSigner]:
    """Makes the signer that listens on a socket."""

    def make(env: Env) -> TokenSigner:
        # gRPC is large, and only for this.
        from trireme.apiserver.authn.external_signer import ExternalSigner

        return ExternalSigner(endpoint, env)

    return make


def _joined(own: bytes, path: Path) -> Callable[[], bytes]:
    """Reads the authorities of a file, and adds those that there are."""

    def read() -> bytes:
        return own.rstrip(b"\n") + b"\n" + path.read_bytes()

    return read


def _split(data: bytes) -> tuple[bytes, ...]:
    """The keys of a file."""
    from trireme.kit import jws

    keys = jws.split(data)
    for key in keys:
        jws.Key.of(jws.load_public(key))
    if not keys:
        raise ValueError("holds no key in PEM")
    return keys


AREA: Final = Area(_GROUPS, Options(), _configure)
