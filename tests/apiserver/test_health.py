"""/livez, /readyz and /healthz: upstream's names of checks, and what is wrong only for those who
may ask for one."""

from __future__ import annotations

import pytest

from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.testing import control_plane

NOBODY = User("system:anonymous", groups=("system:unauthenticated",))
ADMIN = User("admin", groups=("system:masters",))
ALIVE = "[+]ping ok\n[+]log ok\n[+]etcd ok\n"
# What upstream's own test wants on each page.
REQUIRED = [
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "bootstrap-controller",
    "start-system-namespaces-controller",
    "start-service-ip-repair-controllers",
    "scheduling/bootstrap-system-priority-classes",
    "start-cluster-authentication-info-controller",
    "start-kube-aggregator-informers",
    "apiservice-registration-controller",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "kube-apiserver-autoregistration",
    "apiservice-openapi-controller",
    "storage-readiness",
]
HOOK = "poststarthook/rbac/bootstrap-roles"


async def ask(server: ApiServer, path: str, query: str = "", user: User = ADMIN) -> tuple[int, str]:
    """The page that a user gets."""
    answer = await chain.handle(server, Request("GET", path, query, user=user))
    assert isinstance(answer, Reply)
    return answer.status, answer.body.decode()


async def test_checks_have_upstreams_names() -> None:
    async with control_plane.api_server(post_start_hooks=True) as server:
        assert await ask(server, "/livez", user=NOBODY) == (200, "ok")
        for page in ("livez", "readyz", "healthz"):
            status, text = await ask(server, f"/{page}", "verbose")
            assert status == 200 and text.endswith(f"{page} check passed\n")
            lines = [f"[+]poststarthook/{name} ok" for name in REQUIRED]
            assert {*lines, "[+]autoregister-completion ok"} <= {*text.splitlines()}
        status, text = await ask(server, "/readyz", "verbose")
        assert (status, text.startswith(ALIVE)) == (200, True)
        for name in ("etcd-readiness", "informer-sync", HOOK):
            assert f"[+]{name} ok\n" in text
            assert await ask(server, f"/readyz/{name}") == (200, "ok")
        assert (await ask(server, "/livez/etcd-readiness"))[0] == 404


async def test_what_is_left_out() -> None:
    async with control_plane.api_server(post_start_hooks=True) as server:
        status, text = await ask(server, "/livez", "verbose&exclude=etcd&exclude=b&exclude=a")
        assert status == 200
        assert text.startswith("[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n")
        assert text.endswith(
            'warn: some health checks cannot be excluded: no matches for "a","b"\n'
            "livez check passed\n"
        )


async def test_a_server_that_is_to_end_lives_and_is_not_ready() -> None:
    async with control_plane.api_server(post_start_hooks=True) as server:
        assert "[+]shutdown ok\n" in (await ask(server, "/readyz", "verbose"))[1]
        server.context.stopping.set()
        assert (await ask(server, "/readyz"))[0] == 500
        assert (await ask(server, "/livez"))[0] == 200


async def test_what_is_wrong_is_not_for_everybody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with control_plane.api_server(post_start_hooks=True) as server:
        server.context.bootstrapped.clear()
        for user in (NOBODY, ADMIN):
            status, text = await ask(server, "/readyz", user=user)
            assert status == 500
            assert f"[-]{HOOK} failed: reason withheld\n" in text
            assert text.endswith("readyz check failed\n")
            assert "not finished" not in text
        assert f"readyz: {HOOK} failed: not finished" in caplog.text
        assert await ask(server, f"/readyz/{HOOK}") == (
            500,
            "internal server error: not finished\n",
        )
        # As upstream without --livez-grace-period.
        assert (await ask(server, "/livez"))[0] == 500
