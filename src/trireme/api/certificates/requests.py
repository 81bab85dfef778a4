"""What a certificate signing request and certificates in PEM must be to be accepted.

In: the bytes of a field. Out: what is wrong, "" for nothing. Called by: rules of this group.
Upstream: pkg/apis/certificates ``ParseCSR``, pkg/apis/certificates/validation; Go's
``crypto/x509``.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trireme.api.certificates import pem
from trireme.machinery import gotext

_UNSIGNED: Final = "x509: cannot verify signature: algorithm unimplemented"
# Hashes that Go refuses in signatures.
_INSECURE: Final = {"sha1": "SHA1", "md5": "MD5"}


def request_problem(text: bytes) -> str:
    """A request, signed with the key that it is for."""
    block = next(pem.blocks(text), None)
    if block is None or block.type != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_der_x509_csr(block.content)
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "asn1: structure error: malformed certificate request"
    try:
        hashed = request.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return _UNSIGNED
    if hashed is not None and hashed.name in _INSECURE:
        kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECDSA"
        name = _INSECURE[hashed.name]
        algorithm = f"{name}-RSA" if kind == "RSA" else f"ECDSA-{name}"
        return f"x509: cannot verify signature: insecure algorithm {algorithm}"
    try:
        good = request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        good = False
    if good:
        return ""
    if isinstance(key, rsa.RSAPublicKey):
        return "crypto/rsa: verification error"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "x509: ECDSA verification failure"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "x509: Ed25519 verification failure"
    return _UNSIGNED


def organizations(text: bytes) -> list[str]:
    """The organizations of a request's subject: the groups of the certificate's user."""
    block = next(pem.blocks(text), None)
    if block is None:
        return []
    try:
        subject = x509.load_der_x509_csr(block.content).subject
    except ValueError:
        return []
    found = subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return [str(item.value) for item in found]


def certificates_problem(text: bytes) -> str:
    """One certificate or more, and nothing else; an empty text is fine."""
    if not text:
        return ""
    count = 0
    for block in pem.blocks(text):
        if block.type != "CERTIFICATE":
            block_type = gotext.quote(block.type)
            return f"only CERTIFICATE PEM blocks are allowed, found {block_type}"
        if block.headers:
            return "no PEM block headers are permitted"
        count += 1
        if not block.content:
            return "found CERTIFICATE PEM block containing 0 certificates"
        try:
            x509.load_der_x509_certificate(block.content)
        except ValueError:
            return "x509: malformed certificate"
    return "" if count else "must contain at least one CERTIFICATE PEM block"
