"""PodCertificateRequest: a kubelet asks for a certificate for a pod.

In: PodCertificateRequests. Called by: the write path, server-side printing. Upstream:
pkg/registry/certificates/podcertificaterequest; KEP-4317.
"""

from __future__ import annotations

from typing import Any

from trireme.api import columns, metadata, rules
from trireme.api.certificates.v1beta1 import pcr_rules, pcr_status_rules
from trireme.api.certificates.v1beta1.pcr_types import PodCertificateRequest
from trireme.api.rules import Errors
from trireme.machinery import field, labels
from trireme.machinery.resource import Column, Resource, status

COLUMNS = (
    columns.NAME,
    Column("PodName", description="The pod that it is for."),
    Column("ServiceAccountName", description="The pod's account."),
    Column("NodeName", description="The pod's node."),
    Column("SignerName", description="Who is asked to sign."),
    Column("State", description="What became of it."),
    Column("UnverifiedUserAnnotations", description="What the pod tells the signer."),
)


def validate_update(new: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    """The request stays."""
    errs: Errors = []
    rules.unchanged(errs, field.path(), "spec", new.spec, old.spec)
    return errs


def prepare_status(new: PodCertificateRequest, old: PodCertificateRequest) -> None:
    """A write of the status leaves metadata alone."""
    metadata.keep_for_status(new.metadata, old.metadata)


def row(obj: PodCertificateRequest, _now: float) -> list[Any]:
    """The cells of one PodCertificateRequest."""
    types = [item.type for item in obj.status.conditions]
    known = [kind for kind in types if kind in pcr_status_rules.ENDS]
    spec = obj.spec
    return [
        obj.metadata.name,
        spec.podName,
        spec.serviceAccountName,
        spec.nodeName,
        spec.signerName,
        known[-1] if known else "Pending",
        labels.format_labels(spec.unverifiedUserAnnotations),
    ]


RESOURCE = Resource(
    type=PodCertificateRequest,
    plural="podcertificaterequests",
    subresources=(status(),),
    reset_fields={"": (), "status": ("spec",)},
    validate=pcr_rules.validate,
    validate_update=validate_update,
    prepare_status=prepare_status,
    validate_status=pcr_status_rules.validate,
    unconditional_update=False,
    columns=COLUMNS,
    row=row,
    selectable={
        "spec.signerName": lambda obj: obj.spec.signerName,
        "spec.podName": lambda obj: obj.spec.podName,
        "spec.nodeName": lambda obj: obj.spec.nodeName,
    },
    default_on=False,
    gate="PodCertificateRequest",
)
