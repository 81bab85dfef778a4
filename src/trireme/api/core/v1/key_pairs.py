"""Whether a certificate and a private key in PEM match, with the errors of Go's crypto/tls.

In: the bytes of a Secret's ``tls.crt`` and ``tls.key``. Out: what is wrong, "" for nothing. Called
by: the warnings of Secrets. Upstream: pkg/registry/core/secret, Go's ``tls.X509KeyPair``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from trireme.api.certificates import pem

_PAIRS: Final = (
    (rsa.RSAPublicKey, rsa.RSAPrivateKey),
    (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey),
    (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
)
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)
_SKIPPED: Final = "after skipping PEM blocks of the following types: [{}]"


def problem(certificate: bytes, key: bytes) -> str:
    """What is wrong with the pair."""
    found, skipped = _first(certificate, lambda kind: kind == "CERTIFICATE")
    if found is None:
        return _no_certificate(skipped)
    secret, skipped = _first(
        key, lambda kind: kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY")
    )
    if secret is None:
        return _no_key(skipped)
    try:
        public = x509.load_der_x509_certificate(found).public_key()
    except _UNREADABLE:
        return "x509: malformed certificate"
    try:
        # The key's numbers are not validated: that may take long.
        private = serialization.load_der_private_key(
            secret, None, unsafe_skip_rsa_key_validation=True
        )
    except _UNREADABLE:
        return "tls: failed to parse private key"
    kinds = next((each for each in _PAIRS if isinstance(public, each[0])), None)
    if isinstance(private, x25519.X25519PrivateKey):
        return "tls: found unknown private key type in PKCS#8 wrapping"
    if not isinstance(private, tuple(each[1] for each in _PAIRS)):
        return "tls: failed to parse private key"
    if kinds is None:
        return "tls: unknown public key algorithm"
    if not isinstance(private, kinds[1]):
        return "tls: private key type does not match public key type"
    if private.public_key() != public:
        return "tls: private key does not match public key"
    return ""


def _first(text: bytes, expected: Callable[[str], bool]) -> tuple[bytes | None, list[str]]:
    """The first block of an expected type, and the types of those before it."""
    skipped: list[str] = []
    for block in pem.blocks(text):
        if expected(block.type):
            return block.content, skipped
        skipped.append(block.type)
    return None, skipped


def _no_certificate(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in certificate input"
    if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private "
            "key; PEM inputs may have been switched"
        )
    skipped_blocks = _SKIPPED.format(" ".join(skipped))
    return f'tls: failed to find "CERTIFICATE" PEM block in certificate input {skipped_blocks}'


def _no_key(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in key input"
    if skipped == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    skipped_blocks = _SKIPPED.format(" ".join(skipped))
    expected = 'PEM block with type ending in "PRIVATE KEY"'
    return f"tls: failed to find {expected} in key input {skipped_blocks}"
