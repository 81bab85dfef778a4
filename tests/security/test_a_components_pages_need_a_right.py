"""What a component of the control plane serves is for whoever has the right to it.

Metrics, flags and state of the controllers and the scheduler are got with a client certificate of
the cluster's authority or a token, and the right to the path, which the API server decides. Without
both there is the liveness check alone, which says nothing about what is wrong.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.apiserver.config import ServiceAccountKeys
from trireme.client.client import Client
from trireme.cluster.served import Served
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime.serving import server
from trireme.runtime.serving.config import DelegatedAuth, SecureServing
from trireme.runtime.serving.health import Checks
from trireme.testing import clients, control_plane

NOW = time.time()
AUTHORITY = pki.new_authority("ca", NOW)
SERVING = pki.issue(AUTHORITY, "kube-controller-manager", NOW, names=("127.0.0.1",), server=True)
CONFIG = SecureServing(port=0, certificate=SERVING.certificate, key=SERVING.key)
FLAGS = {"concurrent-job-syncs": "5", "v": "0"}
Answer = tuple[int, str]


class Component:
    def __init__(self, port: int, folder: Path, api: Client) -> None:
        self.api = api
        self._port = port
        self._folder = folder

    def certificate(self, authority: pki.Pair, user: str, *groups: str) -> ssl.SSLContext:
        pair = pki.issue(authority, user, NOW, organizations=groups)
        path = self._folder / f"{user}.pem"
        path.write_bytes(pair.key + pair.certificate)
        context = self.nobody()
        context.load_cert_chain(path)
        return context

    def nobody(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=AUTHORITY.certificate.decode())

    async def get(self, path: str, context: ssl.SSLContext, token: str = "") -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession() as session:
            url = f"https://127.0.0.1:{self._port}{path}"
            async with session.get(url, ssl=context, headers=headers) as answer:
                return answer.status, await answer.text()


@asynccontextmanager
async def component(
    folder: Path, *, asks: bool = True, checks: Checks | None = None
) -> AsyncIterator[Component]:
    env = Env()
    async with control_plane.api_server(
        env, service_accounts=ServiceAccountKeys(pki.new_key()), default_accounts=("default",)
    ) as api:
        manager = clients.client(api, "system:kube-controller-manager", ("system:authenticated",))
        reviewers = server.Reviewers(authentication=manager, authorization=manager)
        served = Served(
            name="kube-controller-manager",
            health={"/healthz": checks or Checks()},
            flags=FLAGS,
        )
        async with server.serving(
            CONFIG,
            DelegatedAuth(client_authority=AUTHORITY.certificate),
            reviewers if asks else server.Reviewers(),
            served.pages(env),
            served.name,
            env,
        ) as port:
            yield Component(port, folder, clients.client(api))


PAGES = ("/metrics", "/metrics/slis", "/flagz", "/statusz", "/nowhere")


async def test_nobody_sees_more_than_the_liveness_check(tmp_path: Path) -> None:
    async with component(tmp_path) as it:
        assert await it.get("/healthz", it.nobody()) == (200, "ok")
        for path in PAGES:
            status, text = await it.get(path, it.nobody())
            assert status == 403
            assert f'User \\"system:anonymous\\" cannot get path \\"{path}\\"' in text


async def test_a_certificate_of_another_authority_is_not_taken(tmp_path: Path) -> None:
    async with component(tmp_path) as it:
        stranger = it.certificate(pki.new_authority("ca", NOW), "boss", "system:masters")
        with pytest.raises((aiohttp.ClientError, OSError)):
            await it.get("/metrics", stranger)


async def test_a_token_that_is_not_known_is_not_taken(tmp_path: Path) -> None:
    async with component(tmp_path) as it:
        assert (await it.get("/metrics", it.nobody(), "nonsense"))[0] == 401


async def test_a_user_without_the_right_sees_nothing(tmp_path: Path) -> None:
    async with component(tmp_path) as it:
        eve = it.certificate(AUTHORITY, "eve")
        for path in PAGES:
            assert (await it.get(path, eve))[0] == 403


async def test_who_has_the_right_sees_the_page_and_no_other(tmp_path: Path) -> None:
    async with component(tmp_path) as it:
        role = ClusterRole(
            metadata=meta.ObjectMeta(name="sees"),
            rules=[PolicyRule(verbs=["get"], nonResourceURLs=["/metrics"])],
        )
        await it.api.create(role)
        subject = Subject(kind="ServiceAccount", name="default", namespace="default")
        await it.api.create(
            ClusterRoleBinding(
                metadata=meta.ObjectMeta(name="sees"),
                subjects=[subject],
                roleRef=RoleRef(
                    apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name="sees"
                ),
            )
        )
        answer = await it.api.create_subresource(
            core.ServiceAccount,
            "default",
            "default",
            "token",
            authentication.TokenRequest(
                spec=authentication.TokenRequestSpec(expirationSeconds=3600)
            ),
            authentication.TokenRequest,
        )
        token = answer.status.token
        status, text = await it.get("/metrics", it.nobody(), token)
        assert status == 200 and "kubernetes_build_info{" in text
        assert (await it.get("/flagz", it.nobody(), token))[0] == 403


async def test_masters_see_all(tmp_path: Path) -> None:
    async with component(tmp_path) as it:
        admin = it.certificate(AUTHORITY, "admin", "system:masters")
        assert "concurrent-job-syncs=5\n" in (await it.get("/flagz", admin))[1]
        assert "Paths: /flagz /healthz /metrics" in (await it.get("/statusz", admin))[1]
        slis = (await it.get("/metrics/slis", admin))[1]
        assert 'kubernetes_healthcheck{name="ping",type="healthz"} 1.0' in slis
        await it.get("/healthz", admin)
        slis = (await it.get("/metrics/slis", admin))[1]
        counted = 'kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} 1.0'
        assert counted in slis
        assert await it.get("/nowhere", admin) == (404, "404 page not found\n")


async def test_where_nobody_can_be_asked_nothing_is_served(tmp_path: Path) -> None:
    async with component(tmp_path, asks=False) as it:
        assert await it.get("/healthz", it.nobody()) == (200, "ok")
        for path in PAGES:
            assert (await it.get(path, it.certificate(AUTHORITY, "eve")))[0] == 403
            assert (await it.get(path, it.nobody(), "a token"))[0] == 403


async def test_the_liveness_check_does_not_say_what_is_wrong(tmp_path: Path) -> None:
    checks = Checks()
    checks.add("leaderElection", lambda: "the secret reason")
    checks.add("job-controller")
    async with component(tmp_path, checks=checks) as it:
        assert await it.get("/healthz", it.nobody()) == (
            500,
            "[-]leaderElection failed: reason withheld\n[+]job-controller ok\n"
            "healthz check failed\n",
        )
        assert await it.get("/healthz?exclude=leaderElection&verbose", it.nobody()) == (
            200,
            "[+]leaderElection excluded: ok\n[+]job-controller ok\nhealthz check passed\n",
        )
