"""The API server's certificate for kubelets gets its rights by RBAC, not by ``system:masters``.

It may what the role ``system:kubelet-api-admin`` says, and nothing at the API. Clusters that were
made when it was otherwise get a new certificate.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.security import servers
from trireme.apiserver.nodes.contract import KubeletAccess
from trireme.cluster.pki import Keys
from trireme.cluster.settings import Settings
from trireme.kit import pki

NAME = "apiserver-kubelet-client"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    settings = Settings(name="a", state_dir=f"{tmp_path}", run_dir="", datastore="memory", port=1)
    made = Keys(tmp_path / "pki")
    made.make(settings, servers.NOW)
    return made


def identity(keys: Keys) -> tuple[str, list[str]]:
    return pki.identity(ssl.PEM_cert_to_DER_cert(keys.pair(NAME).certificate.decode()))


async def test_what_it_may(keys: Keys, asking: Any) -> None:
    access = KubeletAccess(keys.pair(NAME), keys.authority().certificate)
    user, groups = identity(keys)
    assert "system:masters" not in groups
    async with asking(None, kubelets=access) as ask:

        async def may(verb: str, resource: str, subresource: str = "") -> bool:
            attributes = {"verb": verb, "resource": resource, "subresource": subresource}
            spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
            path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
            return bool((await ask.must("POST", path, {"spec": spec}))["status"]["allowed"])

        for part in ("proxy", "log", "stats", "metrics", "pods", "healthz", "configz"):
            assert await may("create", "nodes", part)
            assert await may("get", "nodes", part)
        for verb, resource in (("get", "secrets"), ("create", "pods"), ("update", "nodes")):
            assert not await may(verb, resource)


def test_a_certificate_of_an_earlier_version_is_replaced(keys: Keys, tmp_path: Path) -> None:
    old = pki.issue(
        keys.authority(), "kube-apiserver", servers.NOW, organizations=["system:masters"]
    )
    (tmp_path / "pki" / f"{NAME}.crt").write_bytes(old.certificate)
    (tmp_path / "pki" / f"{NAME}.key").write_bytes(old.key)
    others = keys.pair("apiserver"), keys.authority()
    settings = Settings(name="a", state_dir=f"{tmp_path}", run_dir="", datastore="memory", port=1)
    keys.make(settings, servers.NOW)
    assert identity(keys) == ("kube-apiserver-kubelet-client", ["trireme:kubelet-clients"])
    # What is right stays as it is.
    assert (keys.pair("apiserver"), keys.authority()) == others


def test_a_new_address_of_the_api_server_gets_a_certificate(keys: Keys, tmp_path: Path) -> None:
    settings = Settings(
        name="a", state_dir=f"{tmp_path}", run_dir="", datastore="memory", port=1,
        listen=("127.0.0.1", "192.0.2.1"),
    )  # fmt: skip
    before = keys.pair("apiserver")
    keys.make(settings, servers.NOW)
    after = keys.pair("apiserver")
    assert after != before
    keys.make(settings, servers.NOW)
    assert keys.pair("apiserver") == after
