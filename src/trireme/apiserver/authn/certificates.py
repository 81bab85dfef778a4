"""Client certificates: common name = user, organizations = groups; the attribute ``UID`` its UID.

In: the certificate (DER) that TLS has checked against the client authority. Out: the user, None
when the certificate names nobody, or ``Rejected``: for more than one UID, and once the certificate
has run out, which its connection may outlive.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates.
"""

from __future__ import annotations

import hashlib

from cryptography import x509

from trireme.apiserver.authn.contract import Identity, Rejected, authenticated
from trireme.apiserver.authn.service_accounts import CREDENTIAL_ID
from trireme.apiserver.request import User
from trireme.kit import pki
from trireme.kit.clock import Clock

CACHE_SIZE = 1000
# Kubernetes' own attribute of a subject (gate AllowParsingUserUIDFromCertAuth).
UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")


class Certificates:
    """Reads each certificate once: it comes with every request of its connection."""

    def __init__(self, clock: Clock, *, uids: bool) -> None:
        self._clock = clock
        self._uids = uids
        self._cached: dict[bytes, tuple[Identity | None, float, float]] = {}

    def authenticate(self, certificate: bytes) -> Identity | None:
        """The user of a verified certificate."""
        known = self._cached.get(certificate)
        if known is None:
            if len(self._cached) >= CACHE_SIZE:
                self._cached.clear()
            known = self._cached[certificate] = self._read(certificate)
        identity, begins, ends = known
        self._check_times(begins, ends)
        return identity

    def check_times(self, certificate: bytes) -> None:
        """Return if a certificate holds now; ``Rejected``."""
        parsed = x509.load_der_x509_certificate(certificate)
        self._check_times(
            parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()
        )

    def _check_times(self, begins: float, ends: float) -> None:
        if not begins <= self._clock.now() <= ends:
            raise Rejected("x509: certificate has expired or is not yet valid")

    def _read(self, certificate: bytes) -> tuple[Identity | None, float, float]:
        parsed = x509.load_der_x509_certificate(certificate)
        times = parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()
        name, groups = pki.identity(certificate)
        if not name:
            return None, *times
        uids = pki.attributes(certificate, UID) if self._uids else []
        if len(uids) > 1:
            raise Rejected(f"expected 1 UID, but found multiple: {uids}")
        if uids == [""]:
            raise Rejected("UID cannot be an empty string")
        digest = hashlib.sha256(certificate).hexdigest()
        extra = {CREDENTIAL_ID: (f"X509SHA256={digest}",)}
        identity = Identity(User(name, "".join(uids), tuple(groups), extra))
        return authenticated(identity), *times
