"""Certificate signing requests: who gets what approved and signed, and when requests go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.controllers import harness
from trireme.api.certificates.v1.csr_types import (
    CertificateSigningRequest,
    CertificateSigningRequestSpec,
)
from trireme.api.certificates.v1beta1.clustertrustbundle import (
    ClusterTrustBundle,
    ClusterTrustBundleSpec,
)
from trireme.controllers.certificates import decide_requests, trust_bundles
from trireme.controllers.settings import Settings, Signing
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.testing import clients, virtual

CLIENT_USAGES = ["digital signature", "key encipherment", "client auth"]


def request(
    user: str = "system:node:n1",
    groups: Sequence[str] = ("system:nodes",),
    names: Sequence[x509.GeneralName] = (),
) -> bytes:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def csr(
    body: bytes, signer: str = decide_requests.KUBELET_CLIENT, **spec: Any
) -> CertificateSigningRequest:
    settings = {"usages": CLIENT_USAGES} | spec
    return CertificateSigningRequest(
        metadata=meta.ObjectMeta(name="r"),
        spec=CertificateSigningRequestSpec(request=body, signerName=signer, **settings),
    )


def signing(env: Env) -> Settings:
    signing = Signing.by(pki.new_authority("ca", env.clock.now()))
    return Settings(root_ca="PEM", signing=signing)


async def now(world: harness.World) -> CertificateSigningRequest:
    return await world.client.get(CertificateSigningRequest, "r")


def conditions(found: CertificateSigningRequest) -> list[tuple[str, str]]:
    return [(item.type, item.reason) for item in found.status.conditions]


async def approve(world: harness.World) -> None:
    found = await now(world)
    change = {
        "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "x"}]},
        "metadata": {"resourceVersion": found.metadata.resourceVersion},
    }
    await world.client.patch(CertificateSigningRequest, "r", "", change, "merge", "approval")


@virtual.test()
async def test_a_node_gets_a_certificate_of_its_own(env: Env) -> None:
    settings = signing(env)
    async with harness.world(env, settings=settings, plays="") as world:
        node = clients.client(world.server, "system:node:n1", ("system:nodes",))
        await node.create(csr(request(), expirationSeconds=7200))
        await env.clock.sleep(1)
        found = await now(world)
        # No group may ask for it: nobody said so.
        assert conditions(found) == []
        bindings = {"kind": "ClusterRoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1"}
        role = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
        body = bindings | {
            "metadata": {"name": "b"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                        "name": role},
            "subjects": [{"kind": "Group", "name": "system:nodes",
                          "apiGroup": "rbac.authorization.k8s.io"}],
        }  # fmt: skip
        roles = world.client.dynamic(
            "rbac.authorization.k8s.io", "v1", "clusterrolebindings", namespaced=False
        )
        await roles.create(body)
        await env.clock.sleep(60)
        found = await now(world)
        assert conditions(found) == [("Approved", "AutoApproved")]
        assert found.status.conditions[0].message == (
            "Auto approving self kubelet client certificate after SubjectAccessReview."
        )
        certificate = x509.load_pem_x509_certificate(found.status.certificate)
        der = certificate.public_bytes(serialization.Encoding.DER)
        assert pki.identity(der) == ("system:node:n1", ["system:nodes"])
        authority = settings.signing.kubelet_client
        assert authority is not None
        issuer = x509.load_pem_x509_certificate(authority.certificate)
        certificate.verify_directly_issued_by(issuer)
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert life.total_seconds() == 7200 + 300
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        world.writes.clear()
        await env.clock.sleep(1000)
        assert not world.writes


@virtual.test()
async def test_what_the_signer_does_not_sign_fails(env: Env) -> None:
    async with harness.world(env, settings=signing(env), plays="") as world:
        await world.client.create(csr(request(), decide_requests.KUBELET_SERVING))
        await approve(world)
        await env.clock.sleep(1)
        found = await now(world)
        assert conditions(found) == [("Approved", "x"), ("Failed", "SignerValidationFailure")]
        assert found.status.conditions[1].message == "DNS or IP subjectAltName is required"
        assert not found.status.certificate


@virtual.test()
async def test_other_signers_are_let_alone(env: Env) -> None:
    async with harness.world(env, settings=signing(env), plays="") as world:
        await world.client.create(csr(request(), "example.com/mine"))
        await approve(world)
        await env.clock.sleep(10)
        found = await now(world)
        assert conditions(found) == [("Approved", "x")]
        assert not found.status.certificate


@virtual.test()
async def test_requests_go(env: Env) -> None:
    here = ("csrapproving", "csrcleaner", "csrsigning")
    async with harness.world(env, settings=signing(env), plays="", controllers=here) as world:
        await world.client.create(csr(request("bob", ()), decide_requests.CLIENT))
        await env.clock.sleep(23 * 3600)
        assert await now(world)
        # Past the hour at which it is cleaned up, not at the same instant.
        await env.clock.sleep(2 * 3600 + 60)
        gone = (await world.client.list(CertificateSigningRequest)).items
        assert gone == []


@pytest.mark.parametrize(
    ("signer", "body", "usages", "problem"),
    [
        (decide_requests.KUBELET_CLIENT, request(), CLIENT_USAGES, ""),
        (decide_requests.KUBELET_CLIENT, request(), CLIENT_USAGES[::2], ""),
        (decide_requests.KUBELET_CLIENT, request(groups=()), CLIENT_USAGES,
         "subject organization is not system:nodes"),
        (decide_requests.KUBELET_CLIENT, request("bob"), CLIENT_USAGES,
         "subject common name does not begin with system:node:"),
        (decide_requests.KUBELET_CLIENT, request(names=[x509.DNSName("a")]), CLIENT_USAGES,
         "DNS subjectAltNames are not allowed"),
        (decide_requests.KUBELET_CLIENT, request(), ["client auth"],
         "usages did not match [client auth digital signature key encipherment]"),
        (decide_requests.KUBELET_SERVING, request(names=[x509.DNSName("a")]),
         ["digital signature", "server auth"], ""),
        (decide_requests.KUBELET_SERVING, request(names=[x509.RFC822Name("a@b"),
         x509.DNSName("a")]), ["digital signature", "server auth"],
         "Email subjectAltNames are not allowed"),
        (decide_requests.CLIENT, request("bob", ()), ["client auth"], ""),
        (decide_requests.CLIENT, request("bob", ()), ["server auth"],
         "invalid usage for client certificate: server auth"),
        (decide_requests.CLIENT, request("bob", ()), ["digital signature"],
         "missing required usage for client certificate: client auth"),
    ],
)  # fmt: skip
def test_what_signers_sign(signer: str, body: bytes, usages: list[str], problem: str) -> None:
    assert decide_requests.problem(signer, decide_requests.parsed(body), usages) == problem


def test_lifetimes() -> None:
    year = 365 * 24 * 3600.0
    assert decide_requests.lifetime(None, year) == year
    assert decide_requests.lifetime(60, year) == 600
    assert decide_requests.lifetime(3600, year) == 3600
    assert decide_requests.lifetime(2**31 - 1, year) == year


def test_a_certificate_does_not_outlive_its_authority() -> None:
    authority = pki.new_authority("ca", 1e9, lifetime=1000.0)
    parsed = decide_requests.parsed(request())
    signed = x509.load_pem_x509_certificate(pki.sign(authority, parsed, ["any"], 1e9, 5000.0))
    assert signed.not_valid_after_utc.timestamp() == 1e9 + 1000
    with pytest.raises(ValueError, match="refusing to sign"):
        pki.sign(authority, parsed, [], 1e9 + 1000, 5000.0)


@virtual.test()
async def test_the_servers_authority_is_published(env: Env) -> None:
    first = pki.new_authority("ca", env.clock.now()).certificate.decode()
    settings = Settings(root_ca=first)
    async with harness.world(env, settings=settings, gates=("ClusterTrustBundle",)) as w:
        await w.until(lambda: w.list(ClusterTrustBundle))
        (made,) = w.list(ClusterTrustBundle)
        assert made.metadata.name == trust_bundles.name_of(first)
        assert (made.spec.signerName, made.spec.trustBundle) == (trust_bundles.SIGNER, first)
        # One that is deleted comes again, and one of an authority that is no more goes.
        await w.client.delete(ClusterTrustBundle, made.metadata.name)
        other = pki.new_authority("old", env.clock.now()).certificate.decode()
        spec = ClusterTrustBundleSpec(signerName=trust_bundles.SIGNER, trustBundle=other)
        name = trust_bundles.name_of(other)
        metadata = meta.ObjectMeta(name=name)
        await w.client.create(ClusterTrustBundle(metadata=metadata, spec=spec))
        await w.quiet(5.0)
        assert [item.metadata.name for item in w.list(ClusterTrustBundle)] == [made.metadata.name]
        assert not await w.quiet(60.0)
