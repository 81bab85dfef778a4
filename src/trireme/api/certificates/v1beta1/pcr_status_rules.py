"""Rules of the status of PodCertificateRequests: issued, denied or failed, once.

In: the new and the stored request. Out: field errors. Called by: ``podcertificaterequest``. That
the certificate begins about now is for the admission plugin ``pod_certificate_requests`` to see.
Upstream: pkg/apis/certificates/validation; KEP-4317.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from trireme.api import rules
from trireme.api.certificates import pem
from trireme.api.certificates.v1beta1.pcr_types import (
    PodCertificateRequest,
    PodCertificateRequestSpec,
    PodCertificateRequestStatus,
)
from trireme.api.rules import Errors
from trireme.machinery import field, time

ENDS: Final = ("Issued", "Denied", "Failed")
STATUS: Final = field.path("status")
_CHAIN: Final = STATUS.child("certificateChain")
_LARGEST: Final = 100 * 1024
_WAIT: Final = 600.0


def validate(new: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    """A final condition stays; each sets only the fields that belong to it."""
    errs: Errors = []
    _conditions(errs, new.status)
    if errs:
        return errs
    before, now = _end(old), _end(new)
    if before:
        if new.status != old.status:
            detail = "immutable after PodCertificateRequest is issued, denied, or failed"
            errs.append(field.invalid(STATUS, field.OMITTED, detail))
    elif now == "Issued":
        _issued(errs, new.status, old.spec)
    elif now:
        if new.status != PodCertificateRequestStatus(conditions=new.status.conditions):
            detail = (
                "non-condition status fields must be empty when denying or failing the "
                "PodCertificateRequest"
            )
            errs.append(field.invalid(STATUS, field.OMITTED, detail))
    elif new.status != old.status:
        detail = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
        errs.append(field.invalid(STATUS, field.OMITTED, detail))
    return errs


def _end(obj: PodCertificateRequest) -> str:
    """The final condition of a request; "" while there is none."""
    true = [item.type for item in obj.status.conditions if item.status == "True"]
    return next((kind for kind in true if kind in ENDS), "")


def _conditions(errs: Errors, status: PodCertificateRequestStatus) -> None:
    ended = 0
    for position, item in enumerate(status.conditions):
        # Upstream writes the position as a field of its own.
        here = STATUS.child("conditions", f"[{position}]")
        if item.type not in ENDS:
            errs.append(field.not_supported(here.child("type"), item.type, ENDS))
            continue
        ended += 1
        if ended > 1:
            detail = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            errs.append(field.invalid(here.child("type"), item.type, detail))
        if item.status != "True":
            errs.append(field.not_supported(here.child("status"), item.status, ("True",)))
    rules.conditions(errs, STATUS.child("conditions"), status.conditions)


def _issued(errs: Errors, status: PodCertificateRequestStatus, spec: Any) -> None:
    chain = status.certificateChain
    if len(chain.encode()) > _LARGEST:
        errs.append(field.too_long(_CHAIN, _LARGEST))
        return
    blocks = list(pem.blocks(chain.encode()))
    if not blocks:
        detail = "issued certificate chain must contain at least one certificate"
        errs.append(field.invalid(_CHAIN, chain, detail))
        return
    if blocks[0].type != "CERTIFICATE":
        detail = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
        errs.append(field.invalid(_CHAIN, chain, detail))
        return
    try:
        leaf = x509.load_der_x509_certificate(blocks[0].content)
    except ValueError:
        detail = "leaf certificate does not parse as valid X.509"
        errs.append(field.invalid(_CHAIN, chain, detail))
        return
    _names(errs, leaf)
    if _key(leaf) != _expected_key(spec):
        detail = "leaf certificate was not issued to the requested public key"
        errs.append(field.invalid(_CHAIN, chain, detail))
        return
    if not _times(errs, status, spec, leaf):
        return
    for block in blocks[1:]:
        if block.type != "CERTIFICATE":
            detail = "issued certificate chain must consist entirely of CERTFICATE PEM blocks"
            errs.append(field.invalid(_CHAIN, chain, detail))
            return
        try:
            x509.load_der_x509_certificate(block.content)
        except ValueError:
            detail = "intermediate certificate does not parse as valid X.509"
            errs.append(field.invalid(_CHAIN, chain, detail))
            return


def _names(errs: Errors, leaf: x509.Certificate) -> None:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return
    for name in extension.value.get_values_for_type(x509.DNSName):
        if not name:
            detail = "leaf certificate should not contain empty DNSName"
            errs.append(field.invalid(_CHAIN, name, detail))
        if ".." in name:
            detail = "leaf certificate's DNSName should not contain '..'"
            errs.append(field.invalid(_CHAIN, name, detail))
        if name.startswith(".") or name.endswith("."):
            detail = "leaf certificate's DNSName should not start or end with '.'"
            errs.append(field.invalid(_CHAIN, name, detail))
    for address in extension.value.get_values_for_type(x509.RFC822Name):
        user, at, host = address.rpartition("@")
        if not at or not user or not host:
            detail = "leaf certificate should not contain invalid EmailAddress"
            errs.append(field.invalid(_CHAIN, address, detail))


def _key(holder: Any) -> bytes:
    found: bytes = holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found


def _expected_key(spec: PodCertificateRequestSpec) -> bytes:
    if spec.stubPKCS10Request:
        return _key(x509.load_der_x509_csr(spec.stubPKCS10Request))
    return spec.pkixPublicKey or b""


def _times(
    errs: Errors,
    status: PodCertificateRequestStatus,
    spec: PodCertificateRequestSpec,
    leaf: x509.Certificate,
) -> bool:
    """Whether the times are those of the certificate, and far enough from each other."""
    consistent = "must be present and consistent with the issued certificate"
    within = "must be present and in the range [notbefore+10min, notafter-10min]"
    start, end, refresh = status.notBefore, status.notAfter, status.beginRefreshAt
    for name, value, detail in (
        ("notBefore", start, consistent),
        ("notAfter", end, consistent),
        ("beginRefreshAt", refresh, within),
    ):
        if value is None:
            errs.append(field.required(STATUS.child(name), detail))
    if errs or start is None or end is None or refresh is None:
        return False
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    life = ends - begins
    for name, value, moment, bound in (
        ("notBefore", start, begins, "NotBefore"),
        ("notAfter", end, ends, "NotAfter"),
    ):
        if time.parse(value) != moment.timestamp():
            detail = f"must be set to the {bound} time encoded in the leaf certificate"
            errs.append(field.invalid(STATUS.child(name), value, detail))
            return False
    if life < timedelta(hours=1):
        detail = "leaf certificate lifetime must be >= 1 hour"
        errs.append(field.invalid(_CHAIN, _nanoseconds(begins, ends), detail))
        return False
    most = spec.maxExpirationSeconds or 0
    if life > timedelta(seconds=most):
        detail = f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({most})"
        errs.append(field.invalid(_CHAIN, _nanoseconds(begins, ends), detail))
        return False
    where = STATUS.child("beginRefreshAt")
    if time.parse(refresh) < time.parse(start) + _WAIT:
        detail = "must be at least 10 minutes after status.notBefore"
        errs.append(field.invalid(where, refresh, detail))
        return False
    if time.parse(refresh) > time.parse(end) - _WAIT:
        detail = "must be at least 10 minutes before status.notAfter"
        errs.append(field.invalid(where, refresh, detail))
        return False
    return True


def _nanoseconds(begin: datetime, end: datetime) -> int:
    return int((end - begin).total_seconds()) * 10**9
