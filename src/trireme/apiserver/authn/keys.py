"""The keys of service-account tokens: sign claims, check signatures, publish the public halves.

In: PEM keys from the configuration. Out: JWTs, their claims, and the two documents of OpenID
discovery. Time is not looked at here: ``service_accounts`` validates the claims. Called by that, by
``subresources/token`` and ``virtual/openid``. Upstream: pkg/serviceaccount/jwt.go, openidmetadata;
RFC 7515, RFC 7517 and OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.types import Options

from trireme.apiserver.authn.contract import Rejected
from trireme.apiserver.config import ServiceAccountKeys

JWKS_PATH = "/openid/v1/jwks"
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_JWK_FIELDS = ("kty", "crv", "x", "y", "n", "e")
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

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class _Key:
    """One accepted public key, its id and its algorithm."""

    id: str
    algorithm: str
    public: PublicKey

    @staticmethod
    def of(public: Any) -> _Key:
        der = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        key_id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        return _Key(key_id, _algorithm(public), public)

    def jwk(self) -> dict[str, str]:
        """The key as a JSON Web Key."""
        to_jwk = RSAAlgorithm.to_jwk if self.algorithm == "RS256" else ECAlgorithm.to_jwk
        numbers: dict[str, Any] = to_jwk(self.public, as_dict=True)  # type: ignore[call-overload]
        public = {name: numbers[name] for name in _JWK_FIELDS if name in numbers}
        return {"use": "sig", "kid": self.id, "alg": self.algorithm} | public


class TokenKeys:
    """Signs with one key and accepts several. ValueError for a key that cannot be used."""

    def __init__(self, config: ServiceAccountKeys) -> None:
        self.issuer = config.issuer
        self.audiences = config.accepted_audiences
        self._private: Any = None
        keys: list[_Key] = []
        if config.signing_key:
            self._private = serialization.load_pem_private_key(config.signing_key, None)
            keys.append(_Key.of(self._private.public_key()))
        keys += [_Key.of(_load_public(pem)) for pem in config.public_keys]
        self._keys = {key.id: key for key in keys}

    @property
    def can_sign(self) -> bool:
        return self._private is not None

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A signed token in the compact form."""
        if self._private is None:
            raise ValueError("there is no key to sign service account tokens with")
        key = next(iter(self._keys.values()))
        headers = {"kid": key.id, "typ": None}
        return jwt.encode(
            dict(claims), self._private, algorithm=key.algorithm, headers=headers, sort_headers=True
        )

    def claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a token whose signature is right; None for a token that is not ours."""
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, UnicodeEncodeError):
            # Bytes of a header that are no UTF-8 arrive as surrogates.
            return None
        if unverified.get("iss") != self.issuer:
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
        return {"keys": [key.jwk() for key in self._keys.values()]}

    def discovery(self, address: str) -> dict[str, Any]:
        """The OpenID discovery document; ``address`` (host:port) is where the keys are served."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"https://{address}{JWKS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted(
                {key.algorithm for key in self._keys.values()}
            ),
        }


def _load_public(pem: bytes) -> Any:
    """A public key, or the public half of a private one, as upstream's key files may hold both."""
    if b"PRIVATE KEY" in pem:
        return serialization.load_pem_private_key(pem, None).public_key()
    return serialization.load_pem_public_key(pem)


def _algorithm(public: Any) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        return "RS256"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return _CURVES[public.curve.name]
    raise ValueError(
        "a key of service account tokens must be RSA or ECDSA on P-256, P-384 or P-521"
    )
