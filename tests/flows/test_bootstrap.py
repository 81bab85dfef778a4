"""A new node: it has a bootstrap token and nothing else, and ends with a certificate of its own.

What kubeadm does around it is written down here: the ConfigMap that everybody may read, and what
the group of its tokens is bound to.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.controllers import harness
from tests.controllers import test_certificates as certificates
from tests.controllers.cases import bootstrap_tokens
from trireme.api.certificates.v1.csr_types import CertificateSigningRequest
from trireme.api.core import v1 as core
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.role import Role
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.apiserver.request import ANONYMOUS
from trireme.apiserver.settings.authentication import Authentication
from trireme.domain import bootstrap_tokens as tokens
from trireme.kit import jws, pki
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.testing import clients, virtual

GROUP = "system:bootstrappers:kubeadm:default-node-token"
RBAC = "rbac.authorization.k8s.io"


def bound(name: str, role: str, group: str) -> ClusterRoleBinding:
    body = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
    }
    return msgspec.convert(body, ClusterRoleBinding)


async def prepare(w: harness.World) -> None:
    place = {"name": "kubeadm:bootstrap-signer-clusterinfo", "namespace": "kube-public"}
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["cluster-info"],
        "verbs": ["get"],
    }
    reference = {"apiGroup": RBAC, "kind": "Role", "name": place["name"]}
    nobody = {"apiGroup": RBAC, "kind": "User", "name": "system:anonymous"}
    await w.client.create(msgspec.convert({"metadata": place, "rules": [rule]}, Role))
    body: dict[str, Any] = {"metadata": place, "roleRef": reference, "subjects": [nobody]}
    await w.client.create(msgspec.convert(body, RoleBinding))
    await w.client.create(bound("bootstrap", "system:node-bootstrapper", GROUP))
    approved = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"
    await w.client.create(bound("approve", approved, GROUP))


@virtual.test()
async def test_a_token_becomes_a_node(env: Env) -> None:
    async with harness.world(
        env,
        settings=certificates.signing(env),
        plays="",
        controllers=bootstrap_tokens.CONTROLLERS,
        authentication=Authentication(bootstrap_tokens=True),
    ) as w:
        await prepare(w)
        await w.client.create(bootstrap_tokens.info())
        usages = {tokens.AUTHENTICATION: "true", tokens.GROUPS: GROUP}
        await w.client.create(bootstrap_tokens.token("abcdef", data=usages))

        # Who knows nobody reads where the cluster is, and sees by the token that it is true.
        stranger = clients.client(w.server, ANONYMOUS.name, ANONYMOUS.groups)
        await w.until(lambda: bootstrap_tokens.signed("abcdef")(w))
        info = await stranger.get(core.ConfigMap, "cluster-info", "kube-public")
        signature = jws.detached(info.data["kubeconfig"], "abcdef", bootstrap_tokens.SECRET)
        assert info.data["jws-kubeconfig-abcdef"] == signature
        with pytest.raises(errors.ApiError):
            await stranger.get(core.ConfigMap, "kube-root-ca.crt", "kube-public")

        # It asks for a certificate as the token's user, and may do nothing else.
        identity = await w.server.context.authenticator.review(
            f"abcdef.{bootstrap_tokens.SECRET}", w.server.context.authenticator.keys.audiences
        )
        assert identity is not None
        user = identity.user
        node = clients.client(w.server, user.name, user.groups)
        with pytest.raises(errors.ApiError):
            await node.create(core.Node(metadata=meta.ObjectMeta(name="n1")))
        await node.create(certificates.csr(certificates.request("system:node:n1")))
        requests = w.informers.of(CertificateSigningRequest)
        await w.until(lambda: requests.list() and requests.list()[0].status.certificate)
        made = await node.get(CertificateSigningRequest, "r")
        assert certificates.conditions(made) == [("Approved", "AutoApproved")]
        assert made.spec.username == "system:bootstrap:abcdef"

        # The certificate's user is the node.
        certificate = x509.load_pem_x509_certificate(made.status.certificate)
        name, groups = pki.identity(certificate.public_bytes(serialization.Encoding.DER))
        joined = clients.client(w.server, name, (*groups, "system:authenticated"))
        await joined.create(core.Node(metadata=meta.ObjectMeta(name="n1")))
        await w.until(lambda: w.find(core.Node, "n1", "") is not None)

        # A token that has ended is gone, and so is its signature.
        await w.client.delete(core.Secret, f"{tokens.PREFIX}abcdef", tokens.NAMESPACE)
        await w.until(lambda: bootstrap_tokens.signed()(w))
