"""Whoever shows no credentials gets what upstream's default policy shows, and nothing else.

That is health (as a whole, not its single checks) and the version. The values are those of upstream
v1.36.2 without what a vendor's fork adds. Upstream: plugin/pkg/auth/authorizer/rbac.
"""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.apiserver import chain
from trireme.apiserver.bootstrap import notation, policy
from trireme.apiserver.bootstrap import run as bootstrap
from trireme.apiserver.registry import SELF, Call
from trireme.apiserver.request import Request
from trireme.kit.env import Env
from trireme.testing import virtual

SHOWN = ("/healthz", "/livez", "/readyz", "/version", "/version/")
HIDDEN = (
    "/",
    "/.well-known",
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/api/v1/namespaces",
    "/api/v1/namespaces/kube-public/configmaps/cluster-info",
    "/apis",
    "/apis/apps/v1",
    "/apis/nope.example.com/v1/things",
    "/debug/pprof",
    "/flagz",
    "/healthz/ping",
    "/livez/ping",
    "/logs",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz/ping",
    "/statusz",
    "/version/x",
)
REVIEWS = (
    ("/apis/authentication.k8s.io/v1/selfsubjectreviews", "SelfSubjectReview"),
    ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "SelfSubjectAccessReview"),
)


@virtual.test()
async def test_paths(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        for path in (*SHOWN, *HIDDEN):
            answer = await chain.handle(ask.server, Request("GET", path))
            assert answer.status == (200 if path in SHOWN else 403), path


@virtual.test()
async def test_not_even_reviews_of_oneself(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        for path, kind in REVIEWS:
            status, _ = await ask.unknown()("POST", path, {"kind": kind, "apiVersion": path[6:-1]})
            assert status == 403, path


def test_no_role_but_one_is_bound_to_the_unauthenticated() -> None:
    bindings: list[Any] = [*policy.cluster_role_bindings(), *policy.role_bindings()]
    bound = [
        binding.metadata.name
        for binding in bindings
        if any(subject.name == "system:unauthenticated" for subject in binding.subjects)
    ]
    assert bound == ["system:public-info-viewer"]


@pytest.mark.parametrize("name", policy.RETIRED)
@virtual.test()
async def test_what_earlier_versions_bound_is_taken_away(env: Env, asking: Any, name: str) -> None:
    async with asking(env) as ask:
        for kind, text in (
            (ClusterRole, f"{name}\n  urls /.well-known/* = get"),
            (ClusterRoleBinding, f"{name}\n  role {name}\n  group system:unauthenticated"),
        ):
            read: Any = notation.roles if kind is ClusterRole else notation.bindings
            for obj in read(text, kind):
                endpoint = ask.server.context.endpoint(kind)
                await ask.server.context.registry.create(endpoint, "", obj, Call(SELF))
        await bootstrap.run(ask.server.context)
        for kind in (ClusterRole, ClusterRoleBinding):
            assert ask.server.context.reader.get(kind, "", name) is None
