"""Keys that sign tokens, and the public halves that check them.

In: PEM keys (RSA, or ECDSA on P-256, P-384, P-521). Out: JSON Web Tokens and JSON Web Keys. Used
for service-account tokens, by the API server and by the controller that fills token secrets, and to
sign what new nodes read. Upstream: pkg/serviceaccount/jwt.go, k8s.io/cluster-bootstrap/token/jws;
RFC 7515, RFC 7517.
"""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_PEM_KEY = re.compile(
    rb"-----BEGIN ((?:[A-Z]+ )?(?:PUBLIC|PRIVATE) KEY)-----.*?-----END \1-----", re.DOTALL
)
_JWK_FIELDS = ("kty", "crv", "x", "y", "n", "e")

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class Key:
    """One accepted public key, its id and its algorithm."""

    id: str
    algorithm: str
    public: PublicKey

    @staticmethod
    def of(public: Any) -> Key:
        der = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        key_id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        return Key(key_id, _algorithm(public), public)

    @staticmethod
    def known(key_id: str, public: Any) -> Key:
        """A key that somebody else has named. ValueError for one that cannot be used."""
        return Key(key_id, _algorithm(public), public)

    def jwk(self) -> dict[str, str]:
        """The key as a JSON Web Key."""
        to_jwk = RSAAlgorithm.to_jwk if self.algorithm == "RS256" else ECAlgorithm.to_jwk
        # The overloads of the two classes do not join.
        numbers: dict[str, Any] = to_jwk(self.public, as_dict=True)  # type: ignore[call-overload]
        public = {name: numbers[name] for name in _JWK_FIELDS if name in numbers}
        return {"use": "sig", "kid": self.id, "alg": self.algorithm} | public


class SigningKey:
    """A private key. ValueError for one that cannot be used."""

    def __init__(self, pem: bytes) -> None:
        self._private: Any = serialization.load_pem_private_key(pem, None)
        self.public = Key.of(self._private.public_key())

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A signed token in the compact form."""
        headers = {"kid": self.public.id, "typ": None}
        return jwt.encode(
            dict(claims),
            self._private,
            algorithm=self.public.algorithm,
            headers=headers,
            sort_headers=True,
        )


def detached(content: str, key_id: str, secret: str) -> str:
    """A signature of ``content`` with a shared secret (HS256), without the content: RFC 7515,
    appendix F."""
    headers = {"kid": key_id, "typ": None}
    with warnings.catch_warnings():
        # A bootstrap token's secret has 16 characters, whoever finds that short.
        warnings.simplefilter("ignore")
        whole = jwt.PyJWS().encode(
            content.encode(), secret, algorithm="HS256", headers=headers, sort_headers=True
        )
    head, _, signature = whole.split(".")
    return f"{head}..{signature}"


def split(pem: bytes) -> tuple[bytes, ...]:
    """The keys of a file of several; certificates and whatever stands between them are left out."""
    return tuple(found[0] for found in _PEM_KEY.finditer(pem))


def load_public(pem: bytes) -> Any:
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
