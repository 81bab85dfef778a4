"""Client certificates: common name = user, organizations = groups.

In: the certificate (DER) that TLS has checked against the client authority. Out: the user, None
when the certificate names nobody, or ``Rejected`` once it has run out: a connection may outlive
its certificate.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates.
"""

from __future__ import annotations

import hashlib

from cryptography import x509

from trireme.apiserver.authn.contract import Identity, Rejected
from trireme.apiserver.authn.service_accounts import CREDENTIAL_ID
from trireme.apiserver.request import User
from trireme.kit import pki
from trireme.kit.clock import Clock

MOST_REMEMBERED = 1000


class Certificates:
    """Reads each certificate once: it comes with every request of its connection."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[Identity | None, float, float]] = {}

    def authenticate(self, certificate: bytes) -> Identity | None:
        """The user of a verified certificate."""
        known = self._known.get(certificate)
        if known is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[certificate] = _read(certificate)
        identity, begins, ends = known
        if not begins <= self._clock.now() <= ends:
            raise Rejected("x509: certificate has expired or is not yet valid")
        return identity


def _read(certificate: bytes) -> tuple[Identity | None, float, float]:
    parsed = x509.load_der_x509_certificate(certificate)
    times = parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()
    name, groups = pki.identity(certificate)
    if not name:
        return None, *times
    digest = hashlib.sha256(certificate).hexdigest()
    extra = {CREDENTIAL_ID: (f"X509SHA256={digest}",)}
    return Identity(User(name, "", tuple(groups), extra)), *times
