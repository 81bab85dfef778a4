"""Requests for certificates, certificates of pods, trust bundles: rules and rows."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from trireme.api.certificates import requests
from trireme.api.certificates.v1 import certificatesigningrequest
from trireme.api.certificates.v1beta1 import clustertrustbundle, podcertificaterequest
from trireme.machinery.resource import Resource
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def request(*organizations: str) -> x509.CertificateSigningRequest:
    of = x509.NameOID.ORGANIZATION_NAME
    subject = x509.Name([x509.NameAttribute(of, name) for name in organizations])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(KEY, hashes.SHA256())


def certificate(key: Any = KEY, *, hours: int = 2, authority: bool = False) -> str:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + datetime.timedelta(hours=hours))
    )
    if authority:
        basic = x509.BasicConstraints(ca=True, path_length=None)
        builder = builder.add_extension(basic, critical=True)
    return builder.sign(OTHER, hashes.SHA256()).public_bytes(PEM).decode()


META = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
CSR = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "CertificateSigningRequest",
    "metadata": META,
    "spec": {
        "request": encoded(request("a").public_bytes(PEM)),
        "signerName": "example.com/a",
        "usages": ["client auth"],
    },
}
BROKEN = bytearray(request().public_bytes(DER))
BROKEN[-1] ^= 1
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "no request",
        {"spec.request": encoded(b"no")},
        ['spec.request: Invalid value: "bm8=": PEM block type must be CERTIFICATE REQUEST'],
    ),
    ("no usage", {"spec.usages": []}, ["spec.usages: Required value"]),
    (
        "odd usages",
        {"spec.usages": ["any", "any", "x"]},
        [
            'spec.usages[2]: Unsupported value: "x": supported values: "any", "cert sign", ...',
            'spec.usages[1]: Duplicate value: "any"',
        ],
    ),
    ("no signer", {"spec.signerName": ""}, ["spec.signerName: Required value"]),
    (
        "a signer of no domain",
        {"spec.signerName": "a/b"},
        [
            'spec.signerName: Invalid value: "a": should be a domain with at least two segments '
            "separated by dots"
        ],
    ),
    (
        "the signer of old",
        {"spec.signerName": "kubernetes.io/legacy-unknown"},
        ['spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy...'],
    ),
    (
        "too short",
        {"spec.expirationSeconds": 599},
        [
            "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 "
            "seconds (10 minutes)"
        ],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_requests(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(certificatesigningrequest.RESOURCE, changed(CSR, changes))
    assert validation.agrees(found, errors), found


def test_a_request_is_signed_with_its_key() -> None:
    block = "-----BEGIN CERTIFICATE REQUEST-----\n%s\n-----END CERTIFICATE REQUEST-----\n"
    text = (block % encoded(bytes(BROKEN))).encode()
    assert requests.request_problem(text) == "x509: ECDSA verification failure"
    good = request("a", "b").public_bytes(PEM)
    assert requests.request_problem(b"words before\n" + good) == ""
    assert requests.organizations(good) == ["a", "b"]


def decided(kind: str, status: str = "True", **more: str) -> dict[str, Any]:
    return {"type": kind, "status": status, **more}


AT = "status.conditions"
EXCLUSIVE = "Approved and Denied conditions are mutually exclusive"
PATHS: list[tuple[str, list[Any], list[Any], list[str]]] = [
    ("approval", [], [decided("Approved")], []),
    ("approval", [], [decided("Approved", "False")], [f"{AT}[0].status: Unsupported value: ..."]),
    (
        "approval",
        [],
        [decided("Approved"), decided("Denied")],
        [f'{AT}: Invalid value: "Denied": {EXCLUSIVE}'],
    ),
    (
        "approval",
        [decided("Approved")],
        [],
        [f'{AT}: Forbidden: updates may not remove a condition of type "Approved"'],
    ),
    (
        "status",
        [],
        [decided("Approved")],
        [f'{AT}: Forbidden: updates may not add a condition of type "Approved"'],
    ),
    # What the signer says of a decision does not count.
    ("status", [decided("Approved")], [decided("Approved", reason="other")], []),
    ("status", [], [decided("Failed"), decided("")], [f"{AT}[1].type: Required value"]),
    ("status", [], [decided("A"), decided("A")], [f'{AT}[1].type: Duplicate value: "A"']),
]


@pytest.mark.parametrize(("subresource", "old", "new", "errors"), PATHS)
def test_decisions(subresource: str, old: list[Any], new: list[Any], errors: list[str]) -> None:
    was, now = ({**CSR, "status": {"conditions": items}} for items in (old, new))
    found = validation.update(certificatesigningrequest.RESOURCE, now, was, subresource)
    assert validation.agrees(found, errors), found


def test_the_certificate_comes_once() -> None:
    def with_certificate(text: str) -> dict[str, Any]:
        return {**CSR, "status": {"certificate": encoded(text.encode())}}

    def status(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
        return validation.update(certificatesigningrequest.RESOURCE, new, old, "status")

    good = with_certificate(certificate())
    assert status(good, CSR) == []
    assert status(with_certificate(certificate(hours=3)), good) == [
        "status.certificate: Forbidden: updates may not modify existing certificate content"
    ]
    assert status(with_certificate("x"), CSR) == [
        'status.certificate: Invalid value: "<certificate data>": must contain at least one '
        "CERTIFICATE PEM block"
    ]
    obj = validation.load(certificatesigningrequest.RESOURCE, good)
    assert certificatesigningrequest.RESOURCE.row(obj, 1767225600.0)[-1] == "Pending,Issued"


BUNDLE = {
    "apiVersion": "certificates.k8s.io/v1beta1",
    "kind": "ClusterTrustBundle",
    "metadata": {**META, "name": "example.com:a:x"},
    "spec": {"signerName": "example.com/a", "trustBundle": certificate(authority=True)},
}
OMITTED = 'spec.trustBundle: Invalid value: "<value omitted>":'
BUNDLES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "the name of another",
        {"metadata.name": "x"},
        [
            'metadata.name: Invalid value: "x": ClusterTrustBundle for signerName example.com/a '
            "must be named with prefix example.com:a:"
        ],
    ),
    (
        "a signer's name without one",
        {"spec.signerName": ""},
        [
            'metadata.name: Invalid value: "example.com:a:x": ClusterTrustBundle without signer '
            'name must not have ":" in its name'
        ],
    ),
    (
        "nothing",
        {"spec.trustBundle": ""},
        [f"{OMITTED} at least one trust anchor must be provided"],
    ),
    (
        "twice",
        {"spec.trustBundle": certificate(authority=True, hours=5) * 2},
        [f"{OMITTED} duplicate trust anchor (indices [0 1])..."],
    ),
    (
        "no authority",
        {"spec.trustBundle": certificate()},
        [f"{OMITTED} entry 0 does not have the CA bit set"],
    ),
    (
        "no certificate",
        {"spec.trustBundle": request().public_bytes(PEM).decode()},
        [f"{OMITTED} entry 0 has bad block type: CERTIFICATE REQUEST"],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in BUNDLES], ids=[case[0] for case in BUNDLES]
)
def test_bundles(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(clustertrustbundle.RESOURCE, changed(BUNDLE, changes))
    assert validation.agrees(found, errors), found


POD: Resource = podcertificaterequest.RESOURCE
UID = "11111111-2222-3333-4444-555555555555"
PCR = {
    "apiVersion": "certificates.k8s.io/v1beta1",
    "kind": "PodCertificateRequest",
    "metadata": {**META, "namespace": "ns"},
    "spec": {
        "signerName": "example.com/a",
        "podName": "p",
        "podUID": UID,
        "serviceAccountName": "s",
        "serviceAccountUID": UID,
        "nodeName": "n",
        "nodeUID": UID,
        "stubPKCS10Request": encoded(request().public_bytes(DER)),
    },
}
SIGNER = ed25519.Ed25519PrivateKey.generate()
PROVEN = {
    "spec.stubPKCS10Request": REMOVED,
    "spec.pkixPublicKey": encoded(
        SIGNER.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ),
    "spec.proofOfPossession": encoded(SIGNER.sign(UID.encode())),
}
PODS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("a stub", {}, []),
    ("a proof", PROVEN, []),
    (
        "another's proof",
        {**PROVEN, "spec.podUID": "x"},
        ["spec.proofOfPossession: Invalid value: could not verify proof-of-possession signature"],
    ),
    (
        "both",
        {**PROVEN, "spec.stubPKCS10Request": encoded(b"x")},
        ["spec: Invalid value: exactly one of (stubPKCS10Request) or (pkixPublicKey, ..."],
    ),
    (
        "no stub",
        {"spec.stubPKCS10Request": encoded(b"x")},
        ["spec.stubPKCS10Request: Invalid value: must be a valid PKCS#10 CSR"],
    ),
    (
        "longer than Kubernetes' own signers sign",
        {"spec.signerName": "kubernetes.io/a", "spec.maxExpirationSeconds": 86401},
        ["spec.maxExpirationSeconds: Invalid value: 86401: must be in the range [3600, 86400]"],
    ),
    (
        "notes without a domain",
        {"spec.unverifiedUserAnnotations": {"a": "b"}},
        ['spec.unverifiedUserAnnotations: Invalid value: "a": must be a domain-prefixed key...'],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in PODS], ids=[case[0] for case in PODS]
)
def test_pods(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(POD, changed(PCR, changes))
    assert validation.agrees(found, errors), found


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    moment = "2026-01-01T00:00:00Z"
    return decided(kind, status, reason="R", message="", lastTransitionTime=moment)


ISSUED = {
    "conditions": [condition("Issued")],
    "certificateChain": certificate(),
    "notBefore": "2026-01-01T00:00:00Z",
    "beginRefreshAt": "2026-01-01T01:00:00Z",
    "notAfter": "2026-01-01T02:00:00Z",
}
ENDS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("issued", ISSUED, []),
    ("denied", {"conditions": [condition("Denied")]}, []),
    ("nothing new", {}, []),
    (
        "a chain too early",
        {"certificateChain": "x"},
        ["status: Invalid value: status is immutable unless transitioning to..."],
    ),
    (
        "denied with a chain",
        {"conditions": [condition("Denied")], "certificateChain": "x"},
        ["status: Invalid value: non-condition status fields must be empty when..."],
    ),
    (
        "half issued",
        {"conditions": [condition("Issued", "False")]},
        ['status.conditions.[0].status: Unsupported value: "False": supported values: "True"'],
    ),
    (
        "of another key",
        {**ISSUED, "certificateChain": certificate(OTHER)},
        ["status.certificateChain: Invalid value: ..."],
    ),
    (
        "another begin",
        {**ISSUED, "notBefore": "2026-01-01T00:00:01Z"},
        ["status.notBefore: Invalid value: ..."],
    ),
    (
        "refreshed too late",
        {**ISSUED, "beginRefreshAt": "2026-01-01T01:55:00Z"},
        ["status.beginRefreshAt: Invalid value: ..."],
    ),
    ("no end", {**ISSUED, "notAfter": None}, ["status.notAfter: Required value: must be pres..."]),
]


@pytest.mark.parametrize(
    ("status", "errors"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS]
)
def test_how_requests_of_pods_end(status: dict[str, Any], errors: list[str]) -> None:
    found = validation.update(POD, {**PCR, "status": status}, PCR, "status")
    assert validation.agrees(found, errors), found


def test_an_end_is_the_end() -> None:
    denied = {**PCR, "status": {"conditions": [condition("Denied")]}}
    found = validation.update(POD, {**PCR, "status": ISSUED}, denied, "status")
    assert found == [
        "status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed"
    ]
    assert validation.agrees(
        validation.update(POD, changed(PCR, {"spec.podName": "q"}), PCR),
        ["spec: Invalid value: ..."],
    )
    row = podcertificaterequest.RESOURCE.row(validation.load(POD, denied), 0.0)
    assert row == ["x", "p", "s", "n", "example.com/a", "Denied", "<none>"]
