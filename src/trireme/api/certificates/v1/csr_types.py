"""Types of certificatesigningrequest: see the API reference, certificates/v1."""

from __future__ import annotations

from typing import Annotated, Final

from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Enum,
    Int32,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

USAGES: Final = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
KeyUsage = Annotated[str, Enum(USAGES)]


class CertificateSigningRequestSpec(Struct):
    request: Annotated[bytes, Required()] = always(bytes)
    signerName: Annotated[str, Required()] = always(str)
    expirationSeconds: Int32 | None = None
    usages: Annotated[list[KeyUsage], Atomic()] = []
    username: str = ""
    uid: str = ""
    groups: Annotated[list[str], Atomic()] = []
    extra: dict[str, list[str]] = {}


class CertificateSigningRequestCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    reason: str = ""
    message: str = ""
    lastUpdateTime: Time | None = null()
    lastTransitionTime: Time | None = null()


class CertificateSigningRequestStatus(Struct):
    conditions: Annotated[list[CertificateSigningRequestCondition], listmap("type")] = []
    certificate: bytes = b""


class CertificateSigningRequest(Struct):
    kind: str = constant("CertificateSigningRequest")
    apiVersion: str = constant("certificates.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[CertificateSigningRequestSpec, Required()] = always(
        CertificateSigningRequestSpec
    )
    status: CertificateSigningRequestStatus = always(CertificateSigningRequestStatus)
