"""Nobody gets a right by a way around RBAC that they do not have.

Not by roles and bindings, certificates, tokens of service accounts, pods, ephemeral containers, a
node's identity or somebody else's name: each asks for the right that it would give, or for the one
that upstream asks for.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trireme.kit import pki
from trireme.kit.env import Env
from trireme.testing import virtual

RBAC = "/apis/rbac.authorization.k8s.io/v1"
DEFAULT = f"{RBAC}/namespaces/default"
CORE = "/api/v1/namespaces/default"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
ALL = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


def role(name: str, *rules: dict[str, Any], kind: str = "Role") -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "rules": list(rules),
    }


def rule(verbs: str, resources: str, group: str = "", *names: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
    }
    return made | ({"resourceNames": list(names)} if names else {})


def binding(name: str, user: str, to: str, kind: str = "ClusterRole") -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": to},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


async def allow(ask: Any, user: str, *rules: dict[str, Any]) -> Any:
    """The user, who may do this in all namespaces and outside."""
    await ask.must("POST", f"{RBAC}/clusterroles", role(user, *rules, kind="ClusterRole"))
    bound = binding(user, user, user) | {"kind": "ClusterRoleBinding"}
    await ask.must("POST", f"{RBAC}/clusterrolebindings", bound)
    return ask.as_user(user)


@virtual.test()
async def test_roles_and_bindings(env: Env, asking: Any) -> None:
    group = "rbac.authorization.k8s.io"
    writes = rule("create update patch", "roles rolebindings clusterroles", group)
    async with asking(env) as ask:
        jane = await allow(ask, "jane", writes, rule("get", "pods"))
        roles, bindings = f"{DEFAULT}/roles", f"{DEFAULT}/rolebindings"
        assert (await jane("POST", roles, role("own", rule("get", "pods"))))[0] == 201
        for more in (ALL, rule("get", "secrets"), rule("list", "pods"), rule("*", "pods")):
            assert (await jane("POST", roles, role("more", more)))[0] == 403
            changed = role("own", rule("get", "pods"), more)
            assert (await jane("PUT", f"{roles}/own", changed))[0] == 403
            patched = {"content-type": "application/merge-patch+json"}
            assert (await jane("PATCH", f"{roles}/own", {"rules": [more]}, patched))[0] == 403
        for name in ("cluster-admin", "edit", "view"):
            assert (await jane("POST", bindings, binding("b", "jane", name)))[0] == 403
        assert (await jane("POST", bindings, binding("b", "joe", "own", "Role")))[0] == 201
        gathers = role("all", kind="ClusterRole") | {
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
        }
        assert (await jane("POST", f"{RBAC}/clusterroles", gathers))[0] == 403
        # The verbs that are made for it.
        jim = await allow(
            ask,
            "jim",
            writes,
            rule("escalate", "roles", group),
            rule("bind", "clusterroles", group),
        )
        assert (await jim("POST", roles, role("all", ALL)))[0] == 201
        assert (await jim("POST", bindings, binding("c", "jim", "edit")))[0] == 201


def request(name: str, *organizations: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, item) for item in organizations]
    built = x509.CertificateSigningRequestBuilder(x509.Name(names)).sign(key, hashes.SHA256())
    return base64.b64encode(built.public_bytes(serialization.Encoding.PEM)).decode()


def csr(signer: str, *organizations: str) -> dict[str, Any]:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "c"},
        "spec": {
            "request": request("jane", *organizations),
            "signerName": signer,
            "usages": ["client auth"],
        },
    }


@virtual.test()
async def test_certificates(env: Env, asking: Any) -> None:
    signer = "kubernetes.io/kube-apiserver-client"
    group = "certificates.k8s.io"
    async with asking(env) as ask:
        jane = await allow(
            ask,
            "jane",
            rule("create get", "certificatesigningrequests", group),
            rule("update", "certificatesigningrequests/approval", group),
            rule("update", "certificatesigningrequests/status", group),
            rule("approve sign", "signers", group, "example.com/*"),
        )
        assert (await jane("POST", CSRS, csr(signer, "system:masters")))[0] == 403
        forged = csr(signer)
        forged["spec"] |= {"username": "admin", "groups": ["system:masters"]}
        made = (await jane("POST", CSRS, forged))[1]
        # Who asks is written by the API server.
        assert (made["spec"]["username"], made["spec"]["groups"]) == (
            "jane",
            ["system:authenticated"],
        )
        approved = {"type": "Approved", "status": "True", "reason": "r", "message": "m"}
        made["status"] = {"conditions": [approved]}
        assert (await jane("PUT", f"{CSRS}/c/approval", made))[0] == 403
        certificate = pki.new_authority("a", env.clock.now()).certificate
        made["status"] = {"certificate": base64.b64encode(certificate).decode()}
        assert (await jane("PUT", f"{CSRS}/c/status", made))[0] == 403


@virtual.test()
async def test_tokens_of_service_accounts(env: Env, asking: Any) -> None:
    path = f"{CORE}/serviceaccounts/default/token"
    spec = {"kind": "TokenRequest", "spec": {}}
    async with asking(env) as ask:
        jane = await allow(ask, "jane", rule("*", "serviceaccounts pods secrets"))
        assert (await jane("POST", path, spec))[0] == 403
        joe = await allow(ask, "joe", rule("create", "serviceaccounts/token"))
        assert (await joe("POST", path, spec))[0] == 201
        # A node asks for the pods that it runs, and for nobody else.
        assert (await ask.as_node("n1")("POST", path, spec))[0] == 403
        bound = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "x"}
        other = {"kind": "TokenRequest", "spec": {"boundObjectRef": bound}}
        assert (await ask.as_node("n1")("POST", path, other))[0] == 403


POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


@virtual.test()
async def test_pods_and_ephemeral_containers(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", f"{CORE}/pods", POD)
        jane = await allow(ask, "jane", rule("get update patch create", "pods"))
        pod = (await jane("GET", f"{CORE}/pods/p"))[1]
        pod["spec"]["ephemeralContainers"] = [{"name": "e", "image": "i"}]
        assert (await jane("PUT", f"{CORE}/pods/p/ephemeralcontainers", pod))[0] == 403
        status, _ = await jane("PUT", f"{CORE}/pods/p", pod)
        assert status == 422
        joe = await allow(ask, "joe", rule("update patch", "pods/ephemeralcontainers"))
        pod["spec"]["containers"][0]["image"] = "other"
        assert (await joe("PUT", f"{CORE}/pods/p/ephemeralcontainers", pod))[0] == 200
        kept = (await ask("GET", f"{CORE}/pods/p"))[1]
        assert kept["spec"]["containers"][0]["image"] == "i"
        # No pod of somebody who may only create pods speaks for an account that is not there.
        named = {
            **POD,
            "metadata": {"name": "q"},
            "spec": {**POD["spec"], "serviceAccountName": "x"},
        }
        assert (await jane("POST", f"{CORE}/pods", named))[0] == 403
        # A binding to a node is the scheduler's, and so is what nodeName says after creation.
        bind = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
                "target": {"kind": "Node", "name": "n1"}}  # fmt: skip
        assert (await jane("POST", f"{CORE}/pods/p/binding", bind))[0] == 403


@virtual.test()
async def test_a_nodes_identity(env: Env, asking: Any) -> None:
    nodes = "/api/v1/nodes"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    async with asking(env) as ask:
        await ask.must("POST", nodes, node)
        await ask.must("POST", f"{CORE}/secrets", secret)
        n1 = ask.as_node("n1")
        assert (await n1("POST", nodes, node | {"metadata": {"name": "n3"}}))[0] == 403
        assert (await n1("PUT", f"{nodes}/n2", node))[0] == 403
        assert (await n1("DELETE", f"{nodes}/n2"))[0] == 403
        assert (await n1("GET", f"{CORE}/secrets/s"))[0] == 403
        assert (await n1("GET", f"{CORE}/secrets"))[0] == 403
        assert (await n1("POST", f"{CORE}/pods", POD))[0] == 403
        own = {"name": "n1", "labels": {"node-restriction.kubernetes.io/zone": "a"}}
        assert (await n1("POST", nodes, node | {"metadata": own}))[0] == 403
        # The group without the name, and the name without the group, are no node.
        assert (await ask.as_user("n1", "system:nodes")("GET", f"{nodes}/n2"))[0] == 403
        assert (await ask.as_user("system:node:n2")("GET", f"{nodes}/n2"))[0] == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"impersonate-user": "joe"}, 201),
        ({"impersonate-user": "joe", "impersonate-group": "devs"}, 201),
        ({"impersonate-user": "joe", "impersonate-group": "system:masters"}, 403),
        ({"impersonate-user": "joe", "impersonate-uid": "1"}, 403),
        ({"impersonate-user": "joe", "impersonate-extra-scopes": "all"}, 403),
        ({"impersonate-user": "admin"}, 403),
        ({"impersonate-user": "system:serviceaccount:kube-system:x"}, 403),
        ({"impersonate-user": "system:node:n1"}, 403),
        ({"impersonate-group": "devs"}, 400),
        ({"impersonate-group": "system:masters"}, 400),
        ({"x-remote-user": "admin", "x-remote-group": "system:masters"}, 201),
    ],
)
@virtual.test()
async def test_somebody_elses_name(
    env: Env, asking: Any, headers: dict[str, str], status: int
) -> None:
    async with asking(env) as ask:
        jane = await allow(
            ask,
            "jane",
            rule("impersonate", "users", "", "joe"),
            rule("impersonate", "groups", "", "devs"),
        )
        found, answer = await jane("POST", WHO, REVIEW, headers)
        assert found == status
        if status == 201:
            groups = answer["status"]["userInfo"]["groups"]
            assert "system:masters" not in groups


@virtual.test()
async def test_a_name_that_is_lent_lends_no_more(env: Env, asking: Any) -> None:
    """Who may be impersonated may impersonate others; whoever acts in that name may not."""
    async with asking(env) as ask:
        jane = await allow(ask, "jane", rule("impersonate", "users", "", "joe"))
        await allow(ask, "joe", rule("impersonate", "users groups", ""), rule("get", "secrets"))
        two = {"impersonate-user": "joe", "Impersonate-User": "admin"}
        status, answer = await jane("POST", WHO, REVIEW, two)
        assert (status, answer["status"]["userInfo"]["username"]) == (201, "joe")
        assert (await jane("GET", f"{CORE}/secrets/s"))[0] == 403
        assert (await jane("GET", f"{CORE}/secrets/s", None, {"impersonate-user": "joe"}))[0] == 404
