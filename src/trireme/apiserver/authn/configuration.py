"""AuthenticationConfiguration: its rules, and what its expressions compile to.

In: a file's content, or what the flags ``--oidc-*`` say. Out: the configuration, field errors, and
for each issuer an ``Authenticator``. Called by ``oidc`` and by the composition root. Pure.
Upstream: apiserver ``pkg/apis/apiserver``, ``pkg/authentication/cel``;
https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from trireme.apiserver.settings.authentication import (
    AuthenticationConfiguration,
    ClaimValidationRule,
    ExtraMapping,
    Issuer,
    JWTAuthenticator,
    PrefixedClaimOrExpression,
    UserValidationRule,
)
from trireme.expr import cel
from trireme.expr.cel import types as t
from trireme.kit import pki
from trireme.machinery import configuration, field, names
from trireme.machinery.field import FieldError, Path

GROUP: Final = "apiserver.config.k8s.io"
VERSIONS: Final = ("v1", "v1beta1", "v1alpha1")
_RESERVED: Final = ("k8s.io", "kubernetes.io")


@dataclass(frozen=True)
class Rule:
    """A condition, and what is said where it does not hold."""

    program: cel.Program
    message: str


@dataclass(frozen=True)
class Authenticator:
    """One issuer's configuration, its expressions compiled."""

    config: JWTAuthenticator
    username: cel.Program | None
    groups: cel.Program | None
    uid: cel.Program | None
    extra: tuple[tuple[str, cel.Program], ...]
    claim_rules: tuple[Rule, ...]
    user_rules: tuple[Rule, ...]


def decode(data: bytes) -> AuthenticationConfiguration:
    """A file's content. ValueError; it is not validated here."""
    kind = "AuthenticationConfiguration"
    return configuration.decode(data, GROUP, kind, VERSIONS, AuthenticationConfiguration)


def compiled(
    config: AuthenticationConfiguration, own_issuers: Sequence[str]
) -> tuple[Authenticator, ...]:
    """The authenticators of a configuration. ValueError with all that is wrong. ``own_issuers``:
    of service-account tokens, which no other issuer may be."""
    errs: list[FieldError] = []
    found = []
    at = field.path("jwt")
    urls: set[str] = set()
    discovery: set[str] = set()
    for index, item in enumerate(config.jwt):
        own = at.index(index)
        found.append(_Compiler(errs).authenticator(item, own, own_issuers))
        _unique(errs, own.child("issuer").child("url"), item.issuer.url, urls)
        if item.issuer.discoveryURL:
            where = own.child("issuer").child("discoveryURL")
            _unique(errs, where, item.issuer.discoveryURL, discovery)
    anonymous = config.anonymous
    if anonymous is not None and not anonymous.enabled and anonymous.conditions:
        paths = [item.path for item in anonymous.conditions]
        detail = "enabled should be set to true when conditions are defined"
        errs.append(field.invalid(field.path("anonymous", "conditions"), paths, detail))
    if errs:
        raise ValueError(field.join(errs))
    return tuple(found)


class _Compiler:
    """Compiles one authenticator; what is wrong with it goes to ``errs``."""

    def __init__(self, errs: list[FieldError]) -> None:
        self._errs = errs
        self._programs: list[cel.Program] = []

    def authenticator(
        self, config: JWTAuthenticator, at: Path, own_issuers: Sequence[str]
    ) -> Authenticator:
        self._issuer(config.issuer, at.child("issuer"), own_issuers)
        claim_rules = self._claim_rules(
            config.claimValidationRules, at.child("claimValidationRules")
        )
        mappings, here = config.claimMappings, at.child("claimMappings")
        username = self._prefixed(mappings.username, here.child("username"), required=True)
        groups = self._prefixed(mappings.groups, here.child("groups"), required=False)
        uid = None
        if mappings.uid.claim and mappings.uid.expression:
            detail = "claim and expression can't both be set"
            self._errs.append(field.invalid(here.child("uid"), "", detail))
        elif mappings.uid.expression:
            uid = self._compile(mappings.uid.expression, here.child("uid").child("expression"))
        extra = self._extra(mappings.extra, here.child("extra"))
        checks = [rule.program for rule in claim_rules] + [program for _, program in extra]
        checks += [username] if username is not None else []
        if (
            username is not None
            and username.selects("claims", "email")
            and not any(program.selects("claims", "email_verified") for program in checks)
        ):
            detail = (
                "claims.email_verified must be used in claimMappings.username.expression or "
                "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when "
                "claims.email is used in claimMappings.username.expression"
            )
            where = here.child("username").child("expression")
            self._errs.append(field.invalid(where, mappings.username.expression, detail))
        user_rules = self._user_rules(config.userValidationRules, at.child("userValidationRules"))
        return Authenticator(config, username, groups, uid, extra, claim_rules, user_rules)

    def _issuer(self, issuer: Issuer, at: Path, own_issuers: Sequence[str]) -> None:
        errs = self._errs
        if not issuer.url:
            errs.append(field.required(at.child("url")))
        else:
            _check_url(errs, issuer.url, at.child("url"), own_issuers)
        if issuer.discoveryURL:
            where = at.child("discoveryURL")
            if issuer.url and issuer.url.rstrip("/") == issuer.discoveryURL.rstrip("/"):
                detail = "discoveryURL must be different from URL"
                errs.append(field.invalid(where, issuer.discoveryURL, detail))
            _check_url(errs, issuer.discoveryURL, where, ())
        self._audiences(issuer, at)
        if issuer.certificateAuthority:
            try:
                pki.check_certificates(issuer.certificateAuthority.encode())
            except ValueError as error:
                where = at.child("certificateAuthority")
                errs.append(field.invalid(where, "<omitted>", str(error)))
        if issuer.egressSelectorType:
            detail = "there is no egress selector to look it up in"
            where = at.child("egressSelectorType")
            errs.append(field.invalid(where, issuer.egressSelectorType, detail))

    def _audiences(self, issuer: Issuer, at: Path) -> None:
        errs, here = self._errs, at.child("audiences")
        if not issuer.audiences:
            errs.append(field.required(here, f"at least one {here} is required"))
            return
        observed: set[str] = set()
        for index, audience in enumerate(issuer.audiences):
            if not audience:
                errs.append(field.required(here.index(index)))
            _unique(errs, here.index(index), audience, observed)
        policy, where = issuer.audienceMatchPolicy, at.child("audienceMatchPolicy")
        if len(issuer.audiences) > 1 and policy != "MatchAny":
            detail = "audienceMatchPolicy must be MatchAny for multiple audiences"
            errs.append(field.invalid(where, policy, detail))
        elif policy not in ("", "MatchAny"):
            detail = "audienceMatchPolicy must be empty or MatchAny for single audience"
            errs.append(field.invalid(where, policy, detail))

    def _claim_rules(self, rules: Iterable[ClaimValidationRule], at: Path) -> tuple[Rule, ...]:
        errs, found = self._errs, []
        claims: set[str] = set()
        expressions: set[str] = set()
        for index, rule in enumerate(rules):
            here = at.index(index)
            if rule.claim and rule.expression:
                detail = "claim and expression can't both be set"
                errs.append(field.invalid(here, rule.claim, detail))
            elif rule.claim:
                if rule.message:
                    detail = "may not be specified when claim is set"
                    errs.append(field.invalid(here.child("message"), rule.message, detail))
                _unique(errs, here.child("claim"), rule.claim, claims)
            elif rule.expression:
                where = here.child("expression")
                if rule.requiredValue:
                    detail = "may not be specified when expression is set"
                    value = rule.requiredValue
                    errs.append(field.invalid(here.child("requiredValue"), value, detail))
                if _unique(errs, where, rule.expression, expressions):
                    program = self._compile(rule.expression, where, condition=True)
                    found += [Rule(program, rule.message)] if program is not None else []
            else:
                errs.append(field.required(here, "claim or expression is required"))
        return tuple(found)

    def _prefixed(
        self, mapping: PrefixedClaimOrExpression, at: Path, required: bool
    ) -> cel.Program | None:
        errs = self._errs
        if mapping.expression and mapping.claim:
            errs.append(field.invalid(at, "", "claim and expression can't both be set"))
        elif mapping.expression:
            if mapping.prefix is not None:
                detail = "may not be specified when expression is set"
                errs.append(field.invalid(at.child("prefix"), mapping.prefix, detail))
            return self._compile(mapping.expression, at.child("expression"))
        elif mapping.claim:
            if mapping.prefix is None:
                detail = (
                    "prefix is required when claim is set. It can be set to an empty string to "
                    "disable prefixing"
                )
                errs.append(field.required(at.child("prefix"), detail))
        elif required:
            errs.append(field.required(at, "claim or expression is required"))
        return None

    def _extra(
        self, mappings: Iterable[ExtraMapping], at: Path
    ) -> tuple[tuple[str, cel.Program], ...]:
        errs, found = self._errs, []
        observed: set[str] = set()
        for index, mapping in enumerate(mappings):
            here, key = at.index(index), mapping.key
            where = here.child("key")
            if not key:
                errs.append(field.required(where))
            else:
                errs += [
                    field.invalid(where, key, text) for text in names.is_domain_prefixed_path(key)
                ]
            if key != key.lower():
                errs.append(field.invalid(where, key, "must be lowercase"))
            domain = key.partition("/")[0] if "/" in key else ""
            if any(domain == name or domain.endswith(f".{name}") for name in _RESERVED):
                detail = (
                    "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
                )
                errs.append(field.invalid(where, key, detail))
            if not _unique(errs, where, key, observed):
                continue
            if not mapping.valueExpression:
                errs.append(field.required(here.child("valueExpression")))
                continue
            program = self._compile(mapping.valueExpression, here.child("valueExpression"))
            found += [(key, program)] if program is not None else []
        return tuple(found)

    def _user_rules(self, rules: Iterable[UserValidationRule], at: Path) -> tuple[Rule, ...]:
        errs, found = self._errs, []
        observed: set[str] = set()
        for index, rule in enumerate(rules):
            where = at.index(index).child("expression")
            if not rule.expression:
                errs.append(field.required(where))
            elif _unique(errs, where, rule.expression, observed):
                program = self._compile(rule.expression, where, condition=True, of_user=True)
                found += [Rule(program, rule.message)] if program is not None else []
        return tuple(found)

    def _compile(
        self, text: str, at: Path, *, condition: bool = False, of_user: bool = False
    ) -> cel.Program | None:
        environment = cel.Environment({"user": _user()} if of_user else {"claims": _CLAIMS})
        try:
            program = environment.compile(text)
        except cel.CelError as error:
            self._errs.append(field.invalid(at, text, f"compilation failed: {error}"))
            return None
        if condition and not t.same(program.type, t.BOOL):
            self._errs.append(field.invalid(at, text, "must evaluate to bool"))
            return None
        return program


_CLAIMS: Final = t.map_of(t.STRING, t.DYN)


def _user() -> t.Type:
    texts = t.list_of(t.STRING)
    members = {
        "username": t.STRING,
        "uid": t.STRING,
        "groups": texts,
        "extra": t.map_of(t.STRING, texts),
    }
    fields = {name: t.Field(name, type_) for name, type_ in members.items()}
    return t.struct("kubernetes.UserInfo", fields)


def _unique(errs: list[FieldError], at: Path, value: str, observed: set[str]) -> bool:
    """Whether it is new; if not, that is an error."""
    if value in observed:
        errs.append(field.duplicate(at, value))
        return False
    observed.add(value)
    return True


def _check_url(errs: list[FieldError], url: str, at: Path, disallowed: Sequence[str]) -> None:
    if url in disallowed:
        listed = " ".join(sorted(disallowed))
        detail = f"URL must not overlap with disallowed issuers: [{listed}]"
        errs.append(field.invalid(at, url, detail))
    try:
        parts = urlsplit(url)
    except ValueError as error:
        errs.append(field.invalid(at, url, str(error)))
        return
    if parts.scheme != "https":
        errs.append(field.invalid(at, url, "URL scheme must be https"))
    if "@" in parts.netloc:
        errs.append(field.invalid(at, url, "URL must not contain a username or password"))
    if parts.query:
        errs.append(field.invalid(at, url, "URL must not contain a query"))
    if parts.fragment:
        errs.append(field.invalid(at, url, "URL must not contain a fragment"))
