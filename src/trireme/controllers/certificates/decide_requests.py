"""What becomes of a CertificateSigningRequest. Pure.

In: requests, the present time in epoch seconds. Out: whether one is decided, for which signer it
will do, whether it is to be deleted. Called by ``approving``, ``signing`` and ``cleaning``.
Upstream: pkg/apis/certificates/helpers.go, pkg/controller/certificates;
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from trireme.api.certificates import pem
from trireme.api.certificates.v1 import csr_rules
from trireme.api.certificates.v1.csr_types import CertificateSigningRequest
from trireme.machinery import time

CLIENT: Final = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"
LEGACY: Final = "kubernetes.io/legacy-unknown"
SIGNERS: Final = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY)
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
# The least that a certificate may last, and what is short: its end is not set back.
SHORTEST: Final = 600.0
_NODES: Final = ["system:nodes"]
_NODE: Final = "system:node:"
_CLIENT_USAGES: Final = ("digital signature", "key encipherment", "client auth")
_SERVING_USAGES: Final = ("digital signature", "key encipherment", "server auth")


def is_approved(request: CertificateSigningRequest) -> bool:
    """Approved, not denied, and not failed already."""
    held = {item.type for item in request.status.conditions}
    failed = any(item.status == "True" for item in csr_rules.named(request, csr_rules.FAILED))
    return csr_rules.APPROVED in held and csr_rules.DENIED not in held and not failed


def is_decided(request: CertificateSigningRequest) -> bool:
    """Approved or denied."""
    return any(item.type in csr_rules.DECISIONS for item in request.status.conditions)


def parsed(text: bytes) -> x509.CertificateSigningRequest:
    """The request in PEM. ValueError."""
    block = next(pem.blocks(text), None)
    if block is None or block.type != "CERTIFICATE REQUEST":
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    return x509.load_der_x509_csr(block.content)


def common_name(request: x509.CertificateSigningRequest) -> str:
    """The user that the certificate will name; the last one of several."""
    found = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""


def problem(signer: str, request: x509.CertificateSigningRequest, usages: list[str]) -> str:
    """Why the signer does not sign the request, in upstream's words; "" when it does."""
    if signer == KUBELET_SERVING:
        return _of_kubelet_serving(request, usages)
    if signer == KUBELET_CLIENT:
        return _of_kubelet_client(request, usages)
    if signer == CLIENT:
        for usage in usages:
            if usage not in _CLIENT_USAGES:
                return f"invalid usage for client certificate: {usage}"
        if "client auth" not in usages:
            return "missing required usage for client certificate: client auth"
    return ""


def _of_kubelet_serving(request: x509.CertificateSigningRequest, usages: list[str]) -> str:
    if _organizations(request) != _NODES:
        return "subject organization is not system:nodes"
    names = alternative_names(request)
    if not (names.get_values_for_type(x509.DNSName) or names.get_values_for_type(x509.IPAddress)):
        return "DNS or IP subjectAltName is required"
    if names.get_values_for_type(x509.RFC822Name):
        return "Email subjectAltNames are not allowed"
    if names.get_values_for_type(x509.UniformResourceIdentifier):
        return "URI subjectAltNames are not allowed"
    return _usages(usages, _SERVING_USAGES) or _name(request)


def _of_kubelet_client(request: x509.CertificateSigningRequest, usages: list[str]) -> str:
    if _organizations(request) != _NODES:
        return "subject organization is not system:nodes"
    names = alternative_names(request)
    for kind, label in (
        (x509.DNSName, "DNS"),
        (x509.RFC822Name, "Email"),
        (x509.IPAddress, "IP"),
        (x509.UniformResourceIdentifier, "URI"),
    ):
        if names.get_values_for_type(kind):
            return f"{label} subjectAltNames are not allowed"
    return _name(request) or _usages(usages, _CLIENT_USAGES)


def _organizations(request: x509.CertificateSigningRequest) -> list[str]:
    found = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [str(item.value) for item in found]


def _name(request: x509.CertificateSigningRequest) -> str:
    if common_name(request).startswith(_NODE):
        return ""
    return "subject common name does not begin with system:node:"


def _usages(usages: list[str], required: tuple[str, ...]) -> str:
    """Key encipherment may be left out: only RSA needs it."""
    if {*usages} | {"key encipherment"} == {*required}:
        return ""
    return f"usages did not match [{' '.join(sorted(required))}]"


def alternative_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    """The names besides the subject that the certificate will be for."""
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])
    return found.value


def lifetime(expiration: int | None, longest: float) -> float:
    """How many seconds a certificate lasts for which ``expiration`` was asked."""
    if expiration is None:
        return longest
    return min(longest, max(SHORTEST, float(expiration)))


def is_stale(request: CertificateSigningRequest, now: float) -> bool:
    """Whether a request is to be deleted: decided an hour ago, not handled for a day, or its
    certificate has expired."""
    issued = bool(request.status.certificate)
    conditions = request.status.conditions
    if not conditions:
        return _is_older(request.metadata.creationTimestamp, DAY, now)
    for item in conditions:
        if item.type == csr_rules.APPROVED:
            if issued and _has_expired(request.status.certificate, now):
                return True
            if _is_older(item.lastUpdateTime, HOUR if issued else DAY, now):
                return True
        elif _is_older(item.lastUpdateTime, HOUR, now):
            return True
    return False


def _is_older(moment: str | None, seconds: float, now: float) -> bool:
    return bool(moment) and now - time.parse(moment or "") > seconds


def _has_expired(certificate: bytes, now: float) -> bool:
    block = next(pem.blocks(certificate), None)
    if block is None:
        return False
    try:
        found = x509.load_der_x509_certificate(block.content)
    except ValueError:
        return False
    return now > found.not_valid_after_utc.timestamp()
