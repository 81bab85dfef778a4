"""PodCertificateRequest: a kubelet asks for a certificate for a pod.

In: PodCertificateRequests. Called by: the write path, server-side printing. Upstream:
pkg/registry/certificates/podcertificaterequest; KEP-4317.
"""

from __future__ import annotations

from trireme.api import columns, metadata, rules
from trireme.api.certificates.v1beta1 import pcr_rules, pcr_status_rules
from trireme.api.certificates.v1beta1.pcr_types import PodCertificateRequest
from trireme.api.rules import Errors
from trireme.machinery import field, labels
from trireme.machinery.resource import Column, Resource, status


def validate_update(new: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    """The request stays."""
    errs: Errors = []
    rules.unchanged(errs, field.path(), "spec", new.spec, old.spec)
    return errs


def _state(obj: PodCertificateRequest) -> str:
    types = [item.type for item in obj.status.conditions]
    return next((kind for kind in reversed(types) if kind in pcr_status_rules.ENDS), "Pending")


RESOURCE = Resource(
    type=PodCertificateRequest,
    plural="podcertificaterequests",
    subresources=(status(),),
    reset_fields={"": (), "status": ("spec",)},
    validate=pcr_rules.validate,
    validate_update=validate_update,
    prepare_status=metadata.prepare_status,
    validate_status=pcr_status_rules.validate,
    unconditional_update=False,
    columns=(
        columns.NAME,
        Column("PodName", "spec.podName", "The pod that it is for."),
        Column("ServiceAccountName", "spec.serviceAccountName", "The pod's account."),
        Column("NodeName", "spec.nodeName", "The pod's node."),
        Column("SignerName", "spec.signerName", "Who is asked to sign."),
        Column(
            "State",
            _state,
            "What became of it.",
        ),
        Column(
            "UnverifiedUserAnnotations",
            lambda obj: labels.format_labels(obj.spec.unverifiedUserAnnotations),
            "What the pod tells the signer.",
        ),
    ),
    selectable={
        "spec.signerName": lambda obj: obj.spec.signerName,
        "spec.podName": lambda obj: obj.spec.podName,
        "spec.nodeName": lambda obj: obj.spec.nodeName,
    },
    default_on=False,
    gate="PodCertificateRequest",
)
