"""Tokens of other issuers: OpenID Connect and AuthenticationConfiguration.

In: a bearer token. Out: its user, None where no configured issuer has made it, or ``Rejected``.
An issuer's keys are fetched where its discovery document says, and again when a token names one
that is not known. Called by ``tokens``. Upstream: apiserver
``plugin/pkg/authenticator/token/oidc`` and go-oidc; OpenID Connect Core 1.0 and Discovery 1.0.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
import msgspec

from trireme.apiserver import outgoing
from trireme.apiserver.authn import claims as claim_rules
from trireme.apiserver.authn.configuration import Authenticator
from trireme.apiserver.authn.contract import Identity, Rejected
from trireme.apiserver.outgoing import Outgoing
from trireme.kit.env import Env

WELL_KNOWN = "/.well-known/openid-configuration"
_LIMIT = 1024 * 1024
_TIMEOUT = 30.0
# Seconds: between two looks for an issuer that does not answer, and between two fetches of keys,
# which anybody can cause with a token that names an unknown one.
RETRY = 10.0
REFETCH = 1.0
# How far an issuer's clock may be ahead where a token says from when on it holds.
_NOT_BEFORE_LEEWAY = 300.0
_SIGNATURE_ONLY: Any = {
    f"verify_{name}": name == "signature"
    for name in ("signature", "exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}
_GOOGLE = {"accounts.google.com": "https://accounts.google.com"}


class IssuerError(Exception):
    """An issuer does not answer, or not as it should."""


class Issuers:
    """All configured issuers. ``own``: the audiences of the API server. ``close`` when done."""

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        algorithms: Sequence[str],
        own: tuple[str, ...],
        env: Env,
    ) -> None:
        self._own = own
        self.issuers = {
            item.config.issuer.url: _Issuer(item, algorithms, env) for item in authenticators
        }

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The user of a token that one of the issuers has made for us."""
        matching = tuple(item for item in self._own if item in audiences)
        issuer = self.issuers.get(_issuer_of(token))
        if issuer is None or not matching:
            return None
        claims = await issuer.verified(token)
        return Identity(claim_rules.user_of(issuer.authenticator, claims), matching)

    async def reach(self) -> None:
        """Return once every issuer's keys can be fetched; IssuerError."""
        for issuer in self.issuers.values():
            await issuer.keys()

    async def close(self) -> None:
        """Close what is open."""
        for issuer in self.issuers.values():
            await issuer.close()


class _Issuer:
    """One issuer, its keys found at the first use."""

    def __init__(self, authenticator: Authenticator, algorithms: Sequence[str], env: Env) -> None:
        self.authenticator = authenticator
        self._algorithms = algorithms
        self._env = env
        authority = authenticator.config.issuer.certificateAuthority
        self._http = _Http(authority)
        self._keys: KeySet | None = None
        self._lock = asyncio.Lock()
        self._failed: tuple[float, IssuerError] | None = None
        # Of the distributed claims, by their issuers.
        self._others: dict[str, KeySet] = {}

    async def verified(self, token: str) -> dict[str, Any]:
        """The claims of a token that holds now, was made for us and signed by the issuer."""
        try:
            keys = await self.keys()
            claims = await self._verified(token, keys)
            await self._expand(claims)
        except IssuerError as error:
            raise Rejected(f"oidc: {error}") from None
        return claims

    async def keys(self) -> KeySet:
        """The issuer's keys; IssuerError, which is remembered for a while."""
        if self._keys is None:
            async with self._lock:
                if self._keys is None:
                    config = self.authenticator.config.issuer
                    self._keys = await self._found(config.url, config.discoveryURL)
        return self._keys

    async def close(self) -> None:
        await self._http.close()

    async def _found(self, url: str, document: str = "") -> KeySet:
        now = self._env.clock.monotonic()
        if self._failed is not None and now - self._failed[0] < RETRY:
            raise self._failed[1]
        try:
            found = await self._http.json(document or url.removesuffix("/") + WELL_KNOWN)
            issuer, keys = found.get("issuer"), found.get("jwks_uri")
            if issuer != url:
                raise IssuerError(
                    f"issuer URL provided to client ({url!r}) did not match the issuer URL returned"
                    f" by provider ({issuer!r})"
                )
            if not isinstance(keys, str) or not keys:
                raise IssuerError("provider did not return JWKS URL")
        except IssuerError as error:
            self._failed = now, error
            self._env.log.error("oidc authenticator: initializing plugin: %s", error)
            raise
        return KeySet(keys, self._http, self._env)

    async def _verified(self, token: str, keys: KeySet) -> dict[str, Any]:
        header, claims = _parsed(token)
        issuer = self.authenticator.config.issuer
        audience = claims.get("aud")
        made_for = [audience] if isinstance(audience, str) else audience
        if not isinstance(made_for, list) or not set(issuer.audiences).intersection(
            item for item in made_for if isinstance(item, str)
        ):
            raise IssuerError(
                f"verify token: expected audience in {sorted(issuer.audiences)} got {made_for}"
            )
        now = self._env.clock.now()
        if not _number(claims, "exp") > now:
            raise IssuerError("verify token: token is expired")
        if "nbf" in claims and now + _NOT_BEFORE_LEEWAY < _number(claims, "nbf"):
            raise IssuerError("verify token: current time before the nbf (not before) time")
        if header.get("alg") not in self._algorithms:
            raise IssuerError(
                f"verify token: id token signed with unsupported algorithm, expected "
                f"{list(self._algorithms)} got {header.get('alg')!r}"
            )
        await keys.check(token, header)
        return claims

    async def _expand(self, claims: dict[str, Any]) -> None:
        """Fetch the groups where the token only says where they are (a distributed claim)."""
        claim = self.authenticator.config.claimMappings.groups.claim
        if not claim or claim in claims or "_claim_names" not in claims:
            return
        source = _source(claims, claim)
        if source is None:
            return
        endpoint, access = source
        what = "could not expand distributed claims"
        try:
            inner = await self._http.text(endpoint, access)
            url = _issuer_of(inner)
            if url == self.authenticator.config.issuer.url:
                keys = await self.keys()
            else:
                if url not in self._others:
                    if len(self._others) >= 16:
                        self._others.clear()
                    self._others[url] = await self._found(url)
                keys = self._others[url]
            found = await self._verified(inner, keys)
        except IssuerError as error:
            raise IssuerError(
                f'{what}: while getting distributed claim "{claim}": {error}'
            ) from None
        if claim not in found:
            raise IssuerError(
                f'{what}: jwt returned by distributed claim endpoint "{endpoint}" did not contain '
                f"claim: {claim}"
            )
        claims[claim] = found[claim]


class KeySet:
    """The keys at a URL; fetched again for a token that none of them has signed."""

    def __init__(self, url: str, http: _Http, env: Env) -> None:
        self._url = url
        self._http = http
        self._env = env
        self._keys: list[jwt.PyJWK] = []
        self._fetched = float("-inf")
        self._lock = asyncio.Lock()

    async def check(self, token: str, header: Mapping[str, Any]) -> None:
        """Return if one of the keys has signed the token; IssuerError."""
        if self._is_signed(token, header):
            return
        before = self._fetched
        async with self._lock:
            # Somebody else may have fetched meanwhile.
            now = self._env.clock.monotonic()
            if self._fetched == before and now - before >= REFETCH:
                self._fetched = now
                self._keys = _keys(await self._http.json(self._url))
        if not self._is_signed(token, header):
            raise IssuerError("verify token: failed to verify signature: failed to verify id token")

    def _is_signed(self, token: str, header: Mapping[str, Any]) -> bool:
        algorithm, key_id = header["alg"], header.get("kid")
        for key in self._keys:
            if key_id and key.key_id != key_id:
                continue
            try:
                # A key that is of another type than the algorithm is refused there.
                jwt.decode(token, key.key, algorithms=[algorithm], options=_SIGNATURE_ONLY)
            except (jwt.PyJWTError, TypeError, ValueError):
                continue
            return True
        return False


class _Http:
    """Fetches documents, and follows nowhere else."""

    def __init__(self, authority: str) -> None:
        self._outgoing = Outgoing()
        self._authority = authority
        self._tls: ssl.SSLContext | None = None

    async def json(self, url: str) -> dict[str, Any]:
        body = await self._get(url, "")
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise IssuerError(f"{url}: no JSON object: {error}") from None

    async def text(self, url: str, token: str) -> str:
        return (await self._get(url, token)).decode("utf-8", "replace").strip()

    async def close(self) -> None:
        await self._outgoing.close()

    async def _get(self, url: str, token: str) -> bytes:
        if not url.startswith("https://"):
            raise IssuerError(f"{url}: only https is supported")
        if self._tls is None:
            self._tls = ssl.create_default_context(cadata=self._authority or None)
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with asyncio.timeout(_TIMEOUT):
                response = await self._outgoing.request("GET", url, headers, tls=self._tls)
                body = await outgoing.read(response, _LIMIT)
        except (*outgoing.FAILURES, ValueError) as error:
            raise IssuerError(f'Get "{url}": {outgoing.explain(error, url, 443)}') from None
        if response.status != 200:
            raise IssuerError(f'Get "{url}": {response.status}')
        return body


def _issuer_of(token: str) -> str:
    """Who a token says has made it, which nobody has checked; "" for what is no token."""
    try:
        issuer = _parsed(token)[1].get("iss")
    except IssuerError:
        return ""
    return _GOOGLE.get(issuer, issuer) if isinstance(issuer, str) else ""


def _parsed(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, UnicodeEncodeError, RecursionError) as error:
        raise IssuerError(f"verify token: malformed jwt: {error}") from None
    return header, claims


def _number(claims: Mapping[str, Any], claim: str) -> float:
    value = claims.get(claim, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise IssuerError(f"verify token: failed to unmarshal claims: {claim} is no number")
    return value


def _keys(document: Mapping[str, Any]) -> list[jwt.PyJWK]:
    """The keys of a set that can be used here."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise IssuerError("fetching keys: the document has no list of keys")
    found = []
    for entry in entries:
        try:
            found.append(jwt.PyJWK(entry, algorithm=entry.get("alg") or _algorithm(entry)))
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            continue
    return [key for key in found if key.key_type in ("RSA", "EC")]


def _algorithm(entry: Mapping[str, Any]) -> str | None:
    """Any of the type of key: which one counts is the token's matter."""
    return "RS256" if entry.get("kty") == "RSA" else None


def _source(claims: Mapping[str, Any], claim: str) -> tuple[str, str] | None:
    """The URL of a distributed claim and the token to fetch it with."""
    names, sources = claims["_claim_names"], claims.get("_claim_sources")
    if not isinstance(names, dict):
        raise IssuerError("error parsing distributed claim names")
    if not isinstance(sources, dict):
        raise IssuerError("no claim sources")
    if claim not in names:
        return None
    source = sources.get(names[claim])
    if not isinstance(source, dict):
        raise IssuerError(
            f"id token _claim_names contained a source {names[claim]} missing in _claims_sources"
        )
    endpoint, token = source.get("endpoint"), source.get("access_token", "")
    if not isinstance(endpoint, str) or not endpoint or not isinstance(token, str):
        return None
    return endpoint, token
