"""Tokens that a webhook knows, over a real connection."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from trireme.apiserver.settings.authentication import Authentication, TokenWebhook
from trireme.client.kubeconfig import Access
from trireme.kit.env import Env

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}


class Webhook:
    """Answers ``status``; keeps what it was asked."""

    def __init__(self) -> None:
        self.status: Any = {"authenticated": True, "user": {"username": "jane", "groups": ["a"]}}
        self.code = 200
        self.failures = 0
        self.asked: list[tuple[Any, Any]] = []
        self.access = Access(server="")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        review = json.loads(await request.read())
        self.asked.append((review, request.headers.get("Authorization")))
        if self.failures:
            self.failures -= 1
            return web.Response(status=500)
        if self.code != 200:
            return web.Response(status=self.code, headers={"Location": "http://127.0.0.1:1/"})
        return web.json_response({**review, "status": self.status})


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    made = Webhook()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.access = Access(server=f"http://127.0.0.1:{runner.addresses[0][1]}/review", token="own")
    try:
        yield made
    finally:
        await runner.cleanup()


async def who(ask: Any, token: str) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {token}"}
    status, answer = await ask.unknown()("POST", WHO, REVIEW, headers)
    return status, answer["status"]["userInfo"] if status == 201 else answer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trireme.apiserver.webhook_client.FIRST", 0.0)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_it_is_asked_once(asking: Any, version: str) -> None:
    async with webhook() as hook:
        settings = Authentication(webhook=TokenWebhook(hook.access, version))
        async with asking(Env(), authentication=settings) as ask:
            for _ in range(3):
                status, user = await who(ask, "t")
                assert (status, user["username"]) == (201, "jane")
                assert user["groups"] == ["a", "system:authenticated"]
            audience = ask.server.context.authenticator.keys.audiences[0]
    spec = {"token": "t", "audiences": [audience]}
    api = f"authentication.k8s.io/{version}"
    assert hook.asked == [({"kind": "TokenReview", "apiVersion": api, "spec": spec}, "Bearer own")]


async def test_a_no_is_kept_as_well(asking: Any) -> None:
    async with webhook() as hook:
        hook.status = {"authenticated": False, "error": "who?"}
        settings = Authentication(webhook=TokenWebhook(hook.access))
        async with asking(Env(), authentication=settings) as ask:
            assert (await who(ask, "t"))[0] == (await who(ask, "t"))[0] == 401
            assert len(hook.asked) == 1
            assert (await who(ask, "u"))[0] == 401


async def test_a_failure_that_passes_is_tried_again(asking: Any) -> None:
    async with webhook() as hook:
        hook.failures = 2
        settings = Authentication(webhook=TokenWebhook(hook.access))
        async with asking(Env(), authentication=settings) as ask:
            assert (await who(ask, "t"))[0] == 201
            assert len(hook.asked) == 3


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (302, None),
        (403, None),
        (200, {"authenticated": "yes"}),
        (200, {"authenticated": True, "user": []}),
        (200, {"authenticated": True, "audiences": ["others"]}),
        (200, None),
    ],
)
async def test_rubbish_is_nobody(asking: Any, code: int, status: Any) -> None:
    async with webhook() as hook:
        hook.code, hook.status = code, status
        settings = Authentication(webhook=TokenWebhook(hook.access))
        async with asking(Env(), authentication=settings) as ask:
            assert (await who(ask, "t"))[0] == 401
            assert len(hook.asked) == 1
