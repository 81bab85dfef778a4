"""Rules of PodCertificateRequests when they are made: who, for how long, and with which key.

In: PodCertificateRequests. Out: field errors. Called by: ``podcertificaterequest``. Upstream:
pkg/apis/certificates/validation; KEP-4317.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from trireme.api import metadata, rules
from trireme.api.certificates import signers
from trireme.api.certificates.v1beta1.pcr_types import (
    PodCertificateRequest,
    PodCertificateRequestSpec,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names

SPEC: Final = field.path("spec")
_KEY: Final = SPEC.child("pkixPublicKey")
_PROOF: Final = SPEC.child("proofOfPossession")
_STUB: Final = SPEC.child("stubPKCS10Request")
_LONGEST_UID: Final = 128
_LARGEST: Final = 10 * 1024
_SHORTEST_LIFE: Final = 60 * 60
_LONGEST_LIFE: Final = 91 * 24 * 60 * 60
_LONGEST_LIFE_OURS: Final = 24 * 60 * 60
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_BITS: Final = (3072, 4096)
_UNKNOWN: Final = "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
_GO_CURVES: Final = {"secp224r1": "P-224"}


def validate(new: PodCertificateRequest) -> Errors:
    """The pod, its account and its node; a lifetime within bounds; one proof of one key."""
    errs: Errors = []
    spec = new.spec
    signers.check(errs, SPEC.child("signerName"), spec.signerName)
    if spec.unverifiedUserAnnotations:
        _annotations(errs, spec.unverifiedUserAnnotations)
    for name, uid in (
        ("podName", "podUID"),
        ("serviceAccountName", "serviceAccountUID"),
        ("nodeName", "nodeUID"),
    ):
        rules.syntax(errs, SPEC, name, getattr(spec, name), names.is_dns1123_subdomain)
        value: str = getattr(spec, uid)
        if not value:
            errs.append(field.invalid(SPEC.child(uid), value, "must not be empty"))
        if len(value.encode()) > _LONGEST_UID:
            errs.append(field.too_long(SPEC.child(uid), _LONGEST_UID))
    where = SPEC.child("maxExpirationSeconds")
    seconds = spec.maxExpirationSeconds
    if seconds is None:
        errs.append(field.required(where, "must be set"))
        return errs
    host = spec.signerName.partition("/")[0]
    is_kubernetes = host == "kubernetes.io" or host.endswith(".kubernetes.io")
    most = _LONGEST_LIFE_OURS if is_kubernetes else _LONGEST_LIFE
    if not _SHORTEST_LIFE <= seconds <= most:
        detail = f"must be in the range [{_SHORTEST_LIFE}, {most}]"
        errs.append(field.invalid(where, seconds, detail))
    _proof_of_possession(errs, spec)
    return errs


def _annotations(errs: Errors, notes: dict[str, str]) -> None:
    at = SPEC.child("unverifiedUserAnnotations")
    for key in notes:
        low = key.lower()
        if not low:
            errs.append(field.required(at))
            continue
        messages = names.is_qualified_name(low)
        rules.add(errs, at, low, messages)
        if not messages and low.count("/") != 1:
            detail = 'must be a domain-prefixed key (such as "acme.io/foo")'
            errs.append(field.invalid(at, low, detail))
    size = sum(len(key.encode()) + len(text.encode()) for key, text in notes.items())
    if size > metadata.ANNOTATIONS_LIMIT:
        errs.append(field.too_long(at, metadata.ANNOTATIONS_LIMIT))


def _proof_of_possession(errs: Errors, spec: PodCertificateRequestSpec) -> None:
    stub, key, proof = spec.stubPKCS10Request, spec.pkixPublicKey, spec.proofOfPossession
    if stub and not key and not proof:
        _stub(errs, stub)
    elif key and proof and not stub:
        _key_possession(errs, key, proof, spec.podUID.encode())
    else:
        detail = (
            "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"
        )
        errs.append(field.invalid(SPEC, field.OMITTED, detail))


def _stub(errs: Errors, content: bytes) -> None:
    if len(content) > _LARGEST:
        errs.append(field.too_long(_STUB, _LARGEST))
        return
    try:
        request = x509.load_der_x509_csr(content)
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm):
        errs.append(field.invalid(_STUB, field.OMITTED, "must be a valid PKCS#10 CSR"))
        return
    bad_value, detail = bad_key(key, "P256, P384, or P521")
    if detail:
        errs.append(field.invalid(_STUB, bad_value, detail))
        return
    try:
        good = request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        good = False
    if not good:
        errs.append(field.invalid(_STUB, field.OMITTED, "invalid signature"))


def bad_key(key: Any, curves: str) -> tuple[Any, str]:
    """The bad value and the detail of a key that is refused; the detail of a good one is ""."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return None, ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        name = key.curve.name
        if name in _CURVES:
            return None, ""
        curve = _GO_CURVES.get(name, name)
        return f"curve {curve}", f"elliptic public keys must use curve {curves}"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size in _BITS:
            return None, ""
        return f"{key.key_size}-bit modulus", "RSA keys must have modulus size 3072 or 4096"
    return field.OMITTED, _UNKNOWN


def _key_possession(errs: Errors, content: bytes, proof: bytes, signed: bytes) -> None:
    for at, item in ((_KEY, content), (_PROOF, proof)):
        if len(item) > _LARGEST:
            errs.append(field.too_long(at, _LARGEST))
            return
    try:
        key = serialization.load_der_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        detail = "must be a valid PKIX-serialized public key"
        errs.append(field.invalid(_KEY, content, detail))
        return
    bad_value, detail = bad_key(key, "P256 or P384")
    if detail:
        bad_value = content if bad_value is field.OMITTED else bad_value
        errs.append(field.invalid(_KEY, bad_value, detail))
        return
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(proof, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(proof, signed, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            key.verify(proof, signed, salted, hashes.SHA256())
    except InvalidSignature:
        detail = "could not verify proof-of-possession signature"
        errs.append(field.invalid(_PROOF, field.OMITTED, detail))
