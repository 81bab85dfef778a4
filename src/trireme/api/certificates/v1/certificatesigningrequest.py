"""CertificateSigningRequest: a request for a certificate, its approval, and the certificate.

In: requests. Called by: the write path, server-side printing. The requestor and the times of
conditions are set by the admission plugin ``certificate_requests``. Upstream:
pkg/registry/certificates/certificates.
"""

from __future__ import annotations

from trireme.api import columns
from trireme.api.certificates.v1 import csr_rules
from trireme.api.certificates.v1.csr_types import CertificateSigningRequest
from trireme.machinery import time
from trireme.machinery.resource import Column, Resource, Subresource, status


def prepare_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    """Only the metadata of a request changes."""
    new.spec = old.spec


def prepare_status(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    """Decisions stay as they are; ``validate_status`` refuses new and missing ones."""
    for kind in csr_rules.DECISIONS:
        kept = csr_rules.named(old, kind)
        places = [at for at, item in enumerate(new.status.conditions) if item.type == kind]
        if len(kept) == len(places):
            for place, item in zip(places, kept, strict=True):
                new.status.conditions[place] = item


def prepare_approval(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    """Conditions alone are written."""
    new.spec = old.spec
    new.status.certificate = old.status.certificate


def _condition(obj: CertificateSigningRequest) -> str:
    types = {item.type for item in obj.status.conditions}
    phase = "Pending"
    if csr_rules.DENIED in types:
        phase = "Denied"
    elif csr_rules.APPROVED in types:
        phase = "Approved"
    if csr_rules.FAILED in types:
        phase += ",Failed"
    return phase + ",Issued" if obj.status.certificate else phase


RESOURCE = Resource(
    type=CertificateSigningRequest,
    plural="certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    subresources=(
        status(),
        Subresource(
            "approval",
            ("get", "patch", "update"),
            prepare=prepare_approval,
            validate=csr_rules.validate_approval,
        ),
    ),
    reset_fields={
        "": ("spec", "status"),
        "status": ("spec", "status.conditions"),
        "approval": ("spec", "status.certificate"),
    },
    name_errors=lambda _name: [],
    validate=csr_rules.validate,
    validate_update=csr_rules.validate_update,
    validate_status=csr_rules.validate_status,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    columns=(
        columns.NAME,
        columns.AGE,
        Column("SignerName", "spec.signerName", "Who is asked to sign.", empty=columns.NONE),
        Column("Requestor", "spec.username", "Who asks."),
        Column(
            "RequestedDuration",
            lambda obj: (
                columns.NONE
                if obj.spec.expirationSeconds is None
                else time.human_duration(obj.spec.expirationSeconds)
            ),
            "How long the certificate shall be good for.",
        ),
        Column("Condition", _condition, "What was decided and what came of it."),
    ),
    selectable={"spec.signerName": lambda obj: obj.spec.signerName},
)
