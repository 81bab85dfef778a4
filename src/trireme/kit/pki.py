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
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = 365 * 24 * 3600.0


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def new_key() -> bytes:
    """A new ECDSA P-256 private key, PEM (PKCS#8)."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


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
    signer = serialization.load_pem_private_key(authority.key, None)
    builder = _builder(subject, issuer.subject, key.public_key(), now, lifetime)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    ).add_extension(_usage(sign_certificates=False), critical=True)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] if server else []
    purposes += [ExtendedKeyUsageOID.CLIENT_AUTH] if client else []
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),  # type: ignore[arg-type]
        critical=False,
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(item) for item in names]), critical=False
        )
    return Pair(_cert_pem(builder.sign(signer, hashes.SHA256())), _pem(key))  # type: ignore[arg-type]


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
    """Whether a PEM certificate has this subject, and these names, as ``issue`` would give it."""
    parsed = x509.load_pem_x509_certificate(certificate)
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        named = set(found.value)
    except x509.ExtensionNotFound:
        named = set()
    subject = identity(parsed.public_bytes(serialization.Encoding.DER))
    return subject == (common_name, list(organizations)) and named == set(map(_general_name, names))


def _long_names() -> warnings.catch_warnings[None]:
    """X.520 ends a common name at 64 characters. Names of service accounts are longer, and nobody
    who checks Kubernetes certificates minds; the library does, aloud."""
    return warnings.catch_warnings(category=UserWarning, action="ignore")


def _builder(
    subject: x509.Name, issuer: x509.Name, public: object, now: float, lifetime: float
) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(now - 300, datetime.UTC)
    end = datetime.datetime.fromtimestamp(now + lifetime, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
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
