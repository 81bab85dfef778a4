"""Keys and certificates: a certificate authority, the pairs that it signs, and RSA/EC keys in PEM.

Comes in: names, addresses, life times and the present time (nothing here reads a clock). Goes out:
PEM bytes. Used by the composition root for a new cluster and by tests. The subject is the identity
that Kubernetes reads from a client certificate: common name = user, organizations = groups
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""

from __future__ import annotations

import datetime
import ipaddress
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = 365 * 24 * 3600.0
# How far the start of a certificate is set back, and below which life its end is not; seconds.
BACKDATE = 300.0
SHORT = 8 * 3600.0
# Usages in the words of the certificates API, in the order of Go's constants.
EXTENDED_USAGES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def new_key() -> bytes:
    """A new ECDSA P-256 private key, PEM (PKCS#8)."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def check_certificates(pem: bytes) -> None:
    """ValueError where it holds no certificate."""
    try:
        x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("holds no certificate in PEM") from None


def public_key(private: bytes) -> bytes:
    """The PEM public key of a PEM private key."""
    key = serialization.load_pem_private_key(private, None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def new_authority(common_name: str, now: float, lifetime: float = 10 * YEAR) -> Pair:
    """A self-signed certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _builder(name, name, key.public_key(), now, lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    return Pair(_cert_pem(builder.sign(key, hashes.SHA256())), _pem(key))


def issue(
    authority: Pair,
    common_name: str,
    now: float,
    *,
    organizations: Sequence[str] = (),
    names: Sequence[str] = (),
    server: bool = False,
    client: bool = True,
    lifetime: float = YEAR,
) -> Pair:
    """A leaf certificate signed by ``authority``; ``names`` are its DNS names and IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    with _long_names():
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, item) for item in organizations]
            + [x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)]
        )
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = _signer(authority)
    builder = _builder(subject, issuer.subject, key.public_key(), now, lifetime)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    ).add_extension(_usage(sign_certificates=False), critical=True)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] if server else []
    purposes += [ExtendedKeyUsageOID.CLIENT_AUTH] if client else []
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
        critical=False,
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(item) for item in names]), critical=False
        )
    return Pair(_cert_pem(builder.sign(signer, hashes.SHA256())), _pem(key))


def sign(
    authority: Pair,
    request: x509.CertificateSigningRequest,
    usages: Sequence[str],
    now: float,
    lifetime: float,
) -> bytes:
    """A certificate for a request, PEM: its subject and alternative names, for ``usages`` in the
    words of the certificates API. It never outlives the authority. ValueError."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = _signer(authority)
    limit = issuer.not_valid_after_utc.timestamp()
    if now >= limit:
        detail = f"NotAfter={issuer.not_valid_after_utc}"
        raise ValueError(f"refusing to sign a certificate that expired in the past: {detail}")
    # A start that is set back forgives clocks that are late; only a short life is not cut by it.
    end = now + lifetime - (BACKDATE if lifetime >= SHORT else 0.0)
    builder = _builder(
        request.subject, issuer.subject, request.public_key(), now, min(end, limit) - now
    )
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    ).add_extension(_key_usage(usages), critical=True)
    purposes = [EXTENDED_USAGES[name] for name in EXTENDED_USAGES if name in usages]
    if purposes:
        unique = list(dict.fromkeys(purposes))
        builder = builder.add_extension(x509.ExtendedKeyUsage(unique), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
        critical=False,
    )
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        pass
    else:
        builder = builder.add_extension(names.value, critical=not list(request.subject))
    return _cert_pem(builder.sign(signer, hashes.SHA256()))


def identity(certificate_der: bytes) -> tuple[str, list[str]]:
    """The user and groups that a client certificate names: (common name, organizations).

    Of several common names the last one is meant, as Go's crypto/x509 has it.
    """
    names = attributes(certificate_der, NameOID.COMMON_NAME)
    return names[-1] if names else "", attributes(certificate_der, NameOID.ORGANIZATION_NAME)


def attributes(certificate_der: bytes, oid: x509.ObjectIdentifier) -> list[str]:
    """The values that a certificate's subject has of an attribute."""
    with _long_names():
        subject = x509.load_der_x509_certificate(certificate_der).subject
    return [str(item.value) for item in subject.get_attributes_for_oid(oid)]


def is_for(
    certificate: bytes,
    common_name: str,
    *,
    organizations: Sequence[str] = (),
    names: Sequence[str] = (),
) -> bool:
    """Whether a PEM certificate has this subject and these names, as ``issue`` would make it."""
    parsed = x509.load_pem_x509_certificate(certificate)
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        named = set(found.value)
    except x509.ExtensionNotFound:
        named = set()
    subject = identity(parsed.public_bytes(serialization.Encoding.DER))
    return subject == (common_name, list(organizations)) and named == set(map(_general_name, names))


def _long_names() -> warnings.catch_warnings[None]:
    """Ignore the library's warning of common names over X.520's 64 characters: those of service
    accounts are longer, and no verifier of Kubernetes certificates objects."""
    return warnings.catch_warnings(category=UserWarning, action="ignore")


def _signer(authority: Pair) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """The authority's private key. Raises ValueError for one that is neither RSA nor EC."""
    key = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("the key of a certificate authority must be RSA or EC")
    return key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: CertificatePublicKeyTypes,
    now: float,
    lifetime: float,
) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(now - BACKDATE, datetime.UTC)
    end = datetime.datetime.fromtimestamp(now + lifetime, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage:
    agreement = "key agreement" in usages
    return x509.KeyUsage(
        digital_signature="signing" in usages or "digital signature" in usages,
        content_commitment="content commitment" in usages,
        key_encipherment="key encipherment" in usages,
        data_encipherment="data encipherment" in usages,
        key_agreement=agreement,
        key_cert_sign="cert sign" in usages,
        crl_sign="crl sign" in usages,
        # Without key agreement these two mean nothing, and cannot be written.
        encipher_only=agreement and "encipher only" in usages,
        decipher_only=agreement and "decipher only" in usages,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _cert_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
