"""Requests that are passed on to aggregated API servers: who asks, what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.apiserver.aggregate import backends
from tests.apiserver.aggregate.backends import ALL, GROUP, Answer, Backend
from tests.apiserver.aggregate.test_apiservices import asked, manifest
from tests.apiserver.conftest import Asker

from trireme.apiserver import chain
from trireme.apiserver.remote.servers import Unreachable, identity
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.settings.aggregator import AggregatorSettings
from trireme.kit.env import Env
from trireme.testing import virtual

THINGS = f"/apis/{GROUP}/v1/things"


@asynccontextmanager
async def available(env: Env, backend: Backend, **settings: Any) -> AsyncIterator[Asker]:
    """An API server that passes the requests of one version on."""
    aggregator = AggregatorSettings(transport=backend, **settings)
    async with asked(env, post_start_hooks=True, aggregator=aggregator) as ask:
        await ask.must("POST", backends.SERVICES, backends.service())
        await ask.must("POST", backends.SLICES, backends.slices())
        await ask.must("POST", ALL, manifest(GROUP, **backends.SPEC))
        await env.clock.sleep(1)
        yield ask


async def passed_on(ask: Asker, request: Request) -> tuple[Reply | StreamReply, bytes]:
    """The answer to a request, and its whole body."""
    answer = await chain.handle(ask.server, request)
    assert isinstance(answer, Reply | StreamReply)
    if isinstance(answer, Reply):
        return answer, answer.body
    return answer, b"".join([chunk async for chunk in answer.chunks])


@virtual.test()
async def test_the_server_learns_who_asks_and_nothing_else(env: Env) -> None:
    backend = backends.healthy()
    backend.answers[THINGS] = lambda _: Answer(201, {"kind": "Thing"}, {"X-Own": "kept"})
    async with available(env, backend) as ask:
        user = User("jane", "u-1", ("devs", "system:masters"), {"scopes/x.y": ("a", "b")})
        sent = {
            "authorization": "Bearer secret",
            "x-remote-user": "admin",
            "x-remote-group": "system:masters",
            "x-remote-extra-evil": "1",
            "impersonate-user": "",
            "accept": "application/json",
            "connection": "x-private",
            "x-private": "1",
        }
        request = Request("POST", THINGS, "dryRun=All&x=%2F", sent, b'{"a":1}', user=user)
        answer, body = await passed_on(ask, request)
        assert (answer.status, body, answer.headers["X-Own"]) == (201, b'{"kind":"Thing"}', "kept")
        [got] = backend.of(THINGS)
        assert (got.method, got.path, got.body) == (
            "POST",
            f"{THINGS}?dryRun=All&x=%2F",
            b'{"a":1}',
        )
        assert got.server_name == "metrics.default.svc"
        assert got.headers.getall("X-Remote-User") == ["jane"]
        assert got.headers.getall("X-Remote-Uid") == ["u-1"]
        assert got.headers.getall("X-Remote-Group") == ["devs", "system:masters"]
        assert got.headers.getall("X-Remote-Extra-scopes%2Fx.y") == ["a", "b"]
        assert got.headers["Accept"] == "application/json"
        for dropped in ("Authorization", "X-Remote-Extra-Evil", "X-Private", "Impersonate-User"):
            assert dropped not in got.headers


@virtual.test()
async def test_a_server_of_another_group_needs_the_right(env: Env) -> None:
    backend = backends.healthy()
    backend.answers[THINGS] = lambda _: Answer(200, {})
    async with available(env, backend) as ask:
        status, refused = await ask.as_user("jane")("GET", THINGS)
        assert (status, refused["reason"]) == (403, "Forbidden")
        assert not backend.of(THINGS)


@virtual.test()
async def test_redirects_do_not_come_back(env: Env) -> None:
    backend = backends.healthy()
    backend.answers[THINGS] = lambda _: Answer(307, b"", {"Location": "https://elsewhere/"})
    async with available(env, backend) as ask:
        status, text = await ask("GET", THINGS)
        assert status == 502
        assert text == "the backend attempted to redirect this request, which is not permitted"


@virtual.test()
async def test_a_server_that_is_gone(env: Env) -> None:
    backend = backends.healthy()
    async with available(env, backend) as ask:
        backend.down = True
        status, text = await ask("GET", THINGS)
        assert status == 503
        assert text == "dial tcp 10.99.0.1:443: connect: connection refused\n"
        # Once that is known nobody asks it any more.
        await env.clock.sleep(31)
        before = len(backend.asked)
        assert await ask("GET", THINGS) == (503, "service unavailable\n")
        assert len(backend.asked) == before
        await ask.must("DELETE", f"{ALL}/{backends.NAME}")
        await env.clock.sleep(1)
        assert (await ask("GET", THINGS))[0] == 404


@virtual.test()
async def test_a_version_without_a_certificate_bundle_that_is_one(env: Env) -> None:
    backend = backends.healthy()
    async with available(env, backend) as ask:
        bundle = {"spec": {"caBundle": "bm8=", "insecureSkipTLSVerify": False}}
        status, _ = await ask("PATCH", f"{ALL}/{backends.NAME}", bundle, backends.MERGE)
        if status < 300:
            await env.clock.sleep(1)
            assert (await ask("GET", THINGS))[0] == 503


@pytest.mark.parametrize("name", ["a\r\nX-Remote-Group: system:masters", "a\x00"])
def test_a_name_breaks_out_of_no_header(name: str) -> None:
    with pytest.raises(Unreachable, match="invalid header field value"):
        identity(User(name), uids=True)
    with pytest.raises(Unreachable, match="invalid header field value"):
        identity(User("a", groups=(name,)), uids=True)
    [_, (key, _)] = identity(User("a", extra={f"{name}:é": ("x",)}), uids=True)
    assert key.isascii() and "\n" not in key and ":" not in key


def test_a_uid_is_passed_on_behind_its_gate() -> None:
    user = User("a", "u")
    assert ("X-Remote-Uid", "u") in identity(user, uids=True)
    assert identity(user, uids=False) == [("X-Remote-User", "a")]
