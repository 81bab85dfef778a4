"""The keys of service-account tokens: sign claims, check signatures, publish the public halves.

In: PEM keys from the configuration. Out: JWTs, their claims, and the two documents of OpenID
discovery. Time is not looked at here: ``service_accounts`` validates the claims. Called by that, by
``subresources/token`` and ``virtual/openid``. Upstream: pkg/serviceaccount/jwt.go, openidmetadata;
RFC 7515, RFC 7517 and OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
from jwt.types import Options

from trireme.apiserver.authn.contract import Rejected
from trireme.apiserver.config import ServiceAccountKeys
from trireme.apiserver.settings.signing import TokenSigner
from trireme.kit import jws

JWKS_PATH = "/openid/v1/jwks"
# The library must check nothing but the signature: it would read the machine's clock.
_SIGNATURE_ONLY: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class TokenKeys:
    """Signs with one key and accepts several. ValueError for a key that cannot be used."""

    def __init__(self, config: ServiceAccountKeys) -> None:
        self.issuer = config.issuer
        self.issuers = config.issuers
        self._jwks_uri = config.jwks_uri
        self.audiences = config.accepted_audiences
        self._signing = jws.SigningKey(config.signing_key) if config.signing_key else None
        keys = [self._signing.public] if self._signing is not None else []
        keys += [jws.Key.of(jws.load_public(pem)) for pem in config.public_keys]
        self._keys = {key.id: key for key in keys}
        # In the place of keys.
        self._signer: TokenSigner | None = None

    def use(self, signer: TokenSigner) -> None:
        """Let a signer elsewhere sign; its keys are those that are accepted."""
        self._signer = signer
        self._keys = signer.keys

    @property
    def can_sign(self) -> bool:
        return self._signing is not None or self._signer is not None

    @property
    def max_expiration(self) -> int:
        """Seconds that a signer elsewhere lets a token hold; 0: no limit."""
        return 0 if self._signer is None else self._signer.max_expiration

    async def signed(self, claims: Mapping[str, Any]) -> str:
        """A signed token in the compact form; SignerError."""
        return self.sign(claims) if self._signer is None else await self._signer.sign(claims)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The same with a key that is here."""
        if self._signing is None:
            raise ValueError("there is no key to sign service account tokens with")
        return self._signing.sign(claims)

    def claims(self, token: str, issuer: str = "") -> dict[str, Any] | None:
        """The claims of a token whose signature is right; None for a token that ``issuer``, one of
        the configured ones if it is empty, did not issue."""
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, UnicodeEncodeError):
            # Bytes of a header that are no UTF-8 arrive as surrogates.
            return None
        if unverified.get("iss") not in ((issuer,) if issuer else self.issuers):
            return None
        key_id = header.get("kid")
        keys = [self._keys[key_id]] if key_id in self._keys else []
        if not key_id:
            keys = list(self._keys.values())
        if not keys:
            raise Rejected("invalid signature, no keys found")
        problems: list[str] = []
        for key in keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token, key.public, algorithms=[key.algorithm], options=_SIGNATURE_ONLY
                )
            except jwt.PyJWTError as problem:
                problems.append(str(problem))
            else:
                return claims
        raise Rejected("; ".join(dict.fromkeys(problems)))

    def key_set(self) -> dict[str, Any]:
        """The JSON Web Key Set of all accepted keys."""
        unpublished = frozenset[str]() if self._signer is None else self._signer.unpublished
        keys = [key for key in self._keys.values() if key.id not in unpublished]
        return {"keys": [key.jwk() for key in keys]}

    def discovery(self, address: str) -> dict[str, Any]:
        """The OpenID discovery document; ``address`` (host:port) is where the keys are served."""
        return {
            "issuer": self.issuer,
            "jwks_uri": self._jwks_uri or f"https://{address}{JWKS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted(
                {key.algorithm for key in self._keys.values()}
            ),
        }


def key_of(token: str) -> str:
    """The id of the key that a token says it is signed with, "" where it says nothing."""
    try:
        found = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, UnicodeEncodeError):
        return ""
    return found if isinstance(found, str) else ""
