"""Who asks for certificates, and who may decide on them and sign them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trireme.kit.env import Env
from trireme.testing import virtual

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MANIFESTS = Path(__file__).parents[2] / "data" / "manifests"
APPROVED = {"type": "Approved", "status": "True", "reason": "Good"}


def manifest(**spec: Any) -> dict[str, Any]:
    text = (MANIFESTS / "certificatesigningrequests.yaml").read_text()
    found: dict[str, Any] = next(iter(yaml.safe_load_all(text)))
    found["spec"].update(spec)
    return found


async def permit(ask: Any, user: str, *rules: dict[str, Any]) -> None:
    """All that the rules say, in the whole cluster."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user}}
    await ask.must(
        "POST", f"{RBAC}/clusterroles", {**role, "kind": "ClusterRole", "rules": list(rules)}
    )
    binding = {
        **role,
        "kind": "ClusterRoleBinding",
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": user,
        },
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    await ask.must("POST", f"{RBAC}/clusterrolebindings", binding)


def rule(verb: str, resource: str, *names: str) -> dict[str, Any]:
    return {
        "verbs": [verb],
        "apiGroups": ["certificates.k8s.io"],
        "resources": [resource],
        "resourceNames": list(names),
    }


@virtual.test()
async def test_a_request_says_who_asks(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await permit(ask, "jane", rule("create", "certificatesigningrequests"))
        status, made = await ask.as_user("jane", "dev")("POST", CSRS, manifest())
        assert status == 201, made
        spec = made["spec"]
        assert (spec["username"], spec["groups"]) == ("jane", ["dev", "system:authenticated"])
        assert "extra" not in spec
        assert made["status"] == {}


@virtual.test()
async def test_decisions_need_the_signer(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", CSRS, manifest())
        path = f"{CSRS}/reporter/approval"
        update = rule("update", "certificatesigningrequests/approval")
        await permit(ask, "one", update, rule("approve", "signers", "example.com/reports"))
        await permit(ask, "all", update, rule("approve", "signers", "example.com/*"))
        await permit(ask, "none", update)
        request = await ask.must("GET", f"{CSRS}/reporter")
        request["status"] = {"conditions": [APPROVED]}
        status, refused = await ask.as_user("none")("PUT", path, request)
        assert (status, refused["message"]) == (
            403,
            'certificatesigningrequests.certificates.k8s.io "reporter" is forbidden: '
            'user not permitted to approve requests with signerName "example.com/reports"',
        )
        for name in ("one", "all"):
            status, approved = await ask.as_user(name)("PUT", f"{path}?dryRun=All", request)
            assert status == 200, approved
            [condition] = approved["status"]["conditions"]
            assert condition["lastUpdateTime"] == condition["lastTransitionTime"]
            assert condition["lastUpdateTime"] is not None


@virtual.test()
async def test_signing_needs_the_signer(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", CSRS, manifest())
        path = f"{CSRS}/reporter/status"
        await permit(ask, "none", rule("update", "certificatesigningrequests/status"))
        request = await ask.must("GET", f"{CSRS}/reporter")
        status, _ = await ask.as_user("none")("PUT", path, request)
        assert status == 200
        request["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}
        status, refused = await ask.as_user("none")("PUT", path, request)
        assert status == 403
        assert "user not permitted to sign requests" in refused["message"]
        assert (await ask("PUT", path, request))[0] == 200


@virtual.test()
async def test_nobody_becomes_a_superuser(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "system:masters")])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        text = base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()
        signer = "kubernetes.io/kube-apiserver-client"
        status, refused = await ask("POST", CSRS, manifest(request=text, signerName=signer))
        assert status == 403
        assert "with system:masters group is not allowed" in refused["message"]
        assert (await ask("POST", CSRS, manifest(signerName=signer)))[0] == 201
