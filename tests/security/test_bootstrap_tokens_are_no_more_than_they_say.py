"""A bootstrap token is taken while its Secret says so, and never for more than a bootstrapper.

Only where --enable-bootstrap-token-auth is set, only from kube-system, with the whole secret,
before it ends, marked for authentication; its groups are those below system:bootstrappers
(upstream, plugin/pkg/auth/authenticator/token/bootstrap).
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from trireme.apiserver.settings.authentication import Authentication
from trireme.kit.env import Env
from trireme.testing import virtual

ID, SECRET = "abcdef", "0123456789abcdef"
TOKEN = f"{ID}.{SECRET}"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
GOOD = {
    "token-id": ID,
    "token-secret": SECRET,
    "usage-bootstrap-authentication": "true",
    "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
}


def secret(of: dict[str, Any]) -> dict[str, Any]:
    data = {key: value for key, value in {**GOOD, **of.get("data", {})}.items() if value}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": of.get("type", "bootstrap.kubernetes.io/token"),
        "metadata": {
            "name": of.get("name", f"bootstrap-token-{ID}"),
            "finalizers": of.get("finalizers", []),
        },
        "data": encoded,
    }


async def user_of(ask: Any, token: str) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {token}"}
    status, answer = await ask.unknown()("POST", WHO, REVIEW, headers)
    return status, answer["status"]["userInfo"] if status == 201 else None


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "another secret": ({}, f"{ID}.{SECRET[:-1]}0"),
    "a part of it": ({}, f"{ID}.{SECRET[:-1]}"),
    "the id alone": ({}, ID),
    "capitals": ({}, TOKEN.upper()),
    "another type": ({"type": "Opaque"}, TOKEN),
    "another namespace": ({"namespace": "default"}, TOKEN),
    "another name": ({"name": "bootstrap-token-fedcba"}, TOKEN),
    "another id within": ({"data": {"token-id": "fedcba"}}, TOKEN),
    "not for authentication": ({"data": {"usage-bootstrap-authentication": ""}}, TOKEN),
    "nearly for authentication": ({"data": {"usage-bootstrap-authentication": "True"}}, TOKEN),
    "no secret": ({"data": {"token-secret": ""}}, f"{ID}."),
    "ended": ({"data": {"expiration": "2020-01-01T00:00:00Z"}}, TOKEN),
    "ends nobody knows when": ({"data": {"expiration": "soon"}}, TOKEN),
    "an administrator": ({"data": {"auth-extra-groups": "system:masters"}}, TOKEN),
    "one bad group of two": (
        {"data": {"auth-extra-groups": "system:bootstrappers:a,system:nodes"}},
        TOKEN,
    ),
    "a line more": ({"data": {"auth-extra-groups": "system:bootstrappers:a\n"}}, TOKEN),
    "is being deleted": ({"finalizers": ["example.com/keep"], "delete": True}, TOKEN),
}


@pytest.mark.parametrize("name", CASES)
@virtual.test()
async def test_refused(env: Env, asking: Any, name: str) -> None:
    of, token = CASES[name]
    namespace = of.get("namespace", "kube-system")
    async with asking(env, authentication=Authentication(bootstrap_tokens=True)) as ask:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        made = await ask.must("POST", path, secret(of))
        if of.get("delete"):
            await ask.must("DELETE", f"{path}/{made['metadata']['name']}")
        assert (await user_of(ask, token))[0] == 401


@virtual.test()
async def test_taken(env: Env, asking: Any) -> None:
    async with asking(env, authentication=Authentication(bootstrap_tokens=True)) as ask:
        ends = {"data": {"expiration": "2030-01-01T01:00:00Z"}}
        await ask.must("POST", "/api/v1/namespaces/kube-system/secrets", secret(ends))
        status, user = await user_of(ask, TOKEN)
        assert status == 201
        assert user["username"] == "system:bootstrap:abcdef"
        assert user["groups"] == [
            "system:bootstrappers",
            "system:bootstrappers:kubeadm:default-node-token",
            "system:authenticated",
        ]
        # What passed is believed for ten seconds, as every token.
        await env.clock.sleep(3590.0)
        assert (await user_of(ask, TOKEN))[0] == 201
        await env.clock.sleep(20.0)
        assert (await user_of(ask, TOKEN))[0] == 401


@virtual.test()
async def test_only_where_it_is_asked_for(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", "/api/v1/namespaces/kube-system/secrets", secret({}))
        assert (await user_of(ask, TOKEN))[0] == 401
