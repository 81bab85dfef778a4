"""Types of podcertificaterequest: see the API reference, certificates/v1beta1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.types import (
    Default,
    Int32,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)


class PodCertificateRequestSpec(Struct):
    signerName: Annotated[str, Required()] = always(str)
    podName: Annotated[str, Required()] = always(str)
    podUID: Annotated[str, Required()] = always(str)
    serviceAccountName: Annotated[str, Required()] = always(str)
    serviceAccountUID: Annotated[str, Required()] = always(str)
    nodeName: Annotated[str, Required()] = always(str)
    nodeUID: Annotated[str, Required()] = always(str)
    maxExpirationSeconds: Annotated[Int32 | None, Default(86400)] = None
    pkixPublicKey: bytes | None = null()
    proofOfPossession: bytes | None = null()
    stubPKCS10Request: Annotated[bytes | None, Required()] = null()
    unverifiedUserAnnotations: dict[str, str] = {}


class PodCertificateRequestStatus(Struct):
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []
    certificateChain: str = ""
    notBefore: Time | None = None
    beginRefreshAt: Time | None = None
    notAfter: Time | None = None


class PodCertificateRequest(Struct):
    kind: str = constant("PodCertificateRequest")
    apiVersion: str = constant("certificates.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[PodCertificateRequestSpec, Required()] = always(PodCertificateRequestSpec)
    status: PodCertificateRequestStatus = always(PodCertificateRequestStatus)
