"""Rules of CertificateSigningRequests, one set of them for each path that writes one.

In: requests, and on update the stored ones, whose old errors are tolerated. Out: field errors.
Called by: ``certificatesigningrequest``. Upstream: pkg/apis/certificates/validation,
pkg/registry/certificates/certificates.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trireme.api import difference, rules
from trireme.api.certificates import requests, signers
from trireme.api.certificates.v1.csr_types import (
    USAGES,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
)
from trireme.api.rules import Errors
from trireme.machinery import field, gotext

APPROVED: Final = "Approved"
DENIED: Final = "Denied"
FAILED: Final = "Failed"
DECISIONS: Final = (APPROVED, DENIED)
_LEGACY_SIGNER: Final = "kubernetes.io/legacy-unknown"
_SHORTEST: Final = 600
_STATUSES: Final = ("False", "True", "Unknown")
_CONDITIONS: Final = field.path("status", "conditions")
_CERTIFICATE: Final = field.path("status", "certificate")


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What is allowed: because it was stored before, or because of the subresource."""

    decisions: bool = False
    certificate: bool = False
    both_decisions: bool = False
    legacy_signer: bool = False
    duplicate_types: bool = False
    empty_type: bool = False
    any_certificate: bool = False
    unknown_usages: bool = False
    duplicate_usages: bool = False


def validate(new: CertificateSigningRequest) -> Errors:
    """A new request."""
    return _whole(new, _Allowed())


def validate_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> Errors:
    """Neither decisions nor the certificate change."""
    return _changed(new, old, _allowed(new, old))


def validate_status(new: CertificateSigningRequest, old: CertificateSigningRequest) -> Errors:
    """The signer sets the certificate, once."""
    return _changed(new, old, _allowed(new, old, certificate=True))


def validate_approval(new: CertificateSigningRequest, old: CertificateSigningRequest) -> Errors:
    """The approver approves or denies, once."""
    return _changed(new, old, _allowed(new, old, decisions=True))


def named(obj: CertificateSigningRequest, kind: str) -> list[CertificateSigningRequestCondition]:
    """The conditions of a type."""
    return [item for item in obj.status.conditions if item.type == kind]


def _allowed(
    new: CertificateSigningRequest,
    old: CertificateSigningRequest,
    *,
    decisions: bool = False,
    certificate: bool = False,
) -> _Allowed:
    types = [item.type for item in old.status.conditions]
    usages = old.spec.usages
    same = new.status.certificate == old.status.certificate
    return _Allowed(
        decisions=decisions,
        certificate=certificate,
        both_decisions=APPROVED in types and DENIED in types,
        legacy_signer=old.spec.signerName == _LEGACY_SIGNER,
        duplicate_types=len({*types}) < len(types),
        empty_type="" in types,
        any_certificate=same or bool(requests.certificates_problem(old.status.certificate)),
        unknown_usages=not {*usages} <= {*USAGES},
        duplicate_usages=len({*usages}) < len(usages),
    )


def _whole(new: CertificateSigningRequest, allowed: _Allowed) -> Errors:
    errs: Errors = []
    at, spec = field.path("spec"), new.spec
    problem = requests.request_problem(spec.request)
    if problem:
        encoded = base64.b64encode(spec.request).decode()
        errs.append(field.invalid(at.child("request"), encoded, problem))
    rules.required(errs, at, "usages", spec.usages)
    _usages(errs, spec.usages, allowed)
    if spec.signerName == _LEGACY_SIGNER and not allowed.legacy_signer:
        detail = "the legacy signerName is not allowed via this API version"
        errs.append(field.invalid(at.child("signerName"), spec.signerName, detail))
    else:
        signers.check(errs, at.child("signerName"), spec.signerName)
    seconds = spec.expirationSeconds
    if seconds is not None and seconds < _SHORTEST:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        errs.append(field.invalid(at.child("expirationSeconds"), seconds, detail))
    _conditions(errs, new.status.conditions, allowed)
    if not allowed.any_certificate:
        problem = requests.certificates_problem(new.status.certificate)
        if problem:
            errs.append(field.invalid(_CERTIFICATE, "<certificate data>", problem))
    return errs


def _usages(errs: Errors, usages: Sequence[str], allowed: _Allowed) -> None:
    at = field.path("spec", "usages")
    for position, usage in enumerate(usages):
        if usage not in USAGES and not allowed.unknown_usages:
            errs.append(field.not_supported(at.index(position), usage, USAGES))
    if not allowed.duplicate_usages:
        for position, usage in enumerate(usages):
            if usage in usages[:position]:
                errs.append(field.duplicate(at.index(position), usage))


def _conditions(
    errs: Errors, items: Sequence[CertificateSigningRequestCondition], allowed: _Allowed
) -> None:
    used: set[str] = set()
    for position, item in enumerate(items):
        here = _CONDITIONS.index(position)
        if not item.type and not allowed.empty_type:
            errs.append(field.required(here.child("type")))
        statuses = ("True",) if item.type in (*DECISIONS, FAILED) else _STATUSES
        rules.required_one_of(errs, here, "status", item.status, statuses)
        if item.type in DECISIONS and not allowed.both_decisions:
            other = DENIED if item.type == APPROVED else APPROVED
            if other in used:
                detail = "Approved and Denied conditions are mutually exclusive"
                errs.append(field.invalid(_CONDITIONS, item.type, detail))
        if item.type in used and not allowed.duplicate_types:
            errs.append(field.duplicate(here.child("type"), item.type))
        used.add(item.type)


def _changed(
    new: CertificateSigningRequest, old: CertificateSigningRequest, allowed: _Allowed
) -> Errors:
    errs = _whole(new, allowed)
    for kind in (*DECISIONS, FAILED):
        if len(named(new, kind)) < len(named(old, kind)):
            detail = f"updates may not remove a condition of type {gotext.quote(kind)}"
            errs.append(field.forbidden(_CONDITIONS, detail))
    for kind in () if allowed.decisions else DECISIONS:
        conditions, before = named(new, kind), named(old, kind)
        if len(conditions) > len(before):
            detail = f"updates may not add a condition of type {gotext.quote(kind)}"
            errs.append(field.forbidden(_CONDITIONS, detail))
        elif len(conditions) == len(before) and conditions != before:
            changes = difference.text(before, conditions)
            detail = f"updates may not modify a condition of type {gotext.quote(kind)}\n{changes}"
            errs.append(field.forbidden(_CONDITIONS, detail))
    if new.status.certificate != old.status.certificate:
        if not allowed.certificate:
            detail = "updates may not set certificate content"
            errs.append(field.forbidden(_CERTIFICATE, detail))
        elif old.status.certificate:
            detail = "updates may not modify existing certificate content"
            errs.append(field.forbidden(_CERTIFICATE, detail))
    return errs
