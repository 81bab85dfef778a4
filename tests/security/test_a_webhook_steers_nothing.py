"""A webhook decides about the write that it is asked about, and nothing else.

However it answers (never, without end, with rubbish, with a redirect, by writing to the API
itself), the request ends in bounded time and memory with an error, others are served meanwhile, and
nothing is stored that was not admitted, of another kind or in another place.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.apiserver import hook_server
from tests.apiserver.conftest import Asker
from tests.apiserver.hook_server import configuration, webhook
from trireme.apiserver import hooks
from trireme.testing import control_plane

HOOKS = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m"}, "data": {"a": "b"}}
FAILED = 'Internal error occurred: failed calling webhook "w.x.io": '


@pytest.fixture
async def ask() -> AsyncIterator[Asker]:
    async with control_plane.api_server() as server:
        yield Asker(server)


async def configure(ask: Asker, kind: str, *given: dict[str, Any]) -> None:
    plural = f"{kind.lower()}webhookconfigurations"
    await ask.must("POST", f"{HOOKS}/{plural}", configuration(kind, "c", *given))


async def refused(ask: Asker, text: str) -> None:
    status, got = await ask("POST", MAPS, MAP)
    assert status == 500
    assert text in got["message"]
    assert (await ask("GET", f"{MAPS}/m"))[0] == 404


async def test_one_that_hangs_holds_up_its_own_writes_only(ask: Asker) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with hook_server.serve({"/": hang}) as server:
        await configure(ask, "Mutating", webhook("w.x.io", server.client(), timeoutSeconds=1))
        waiting = asyncio.ensure_future(refused(ask, "context deadline exceeded"))
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}
        await ask.must("POST", "/api/v1/namespaces/default/secrets", secret)
        assert not waiting.done()
        await waiting


async def test_an_answer_without_end_is_cut_off(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "LIMIT", 100_000)

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    async with hook_server.serve({"/": flood}) as server:
        await configure(ask, "Validating", webhook("w.x.io", server.client()))
        await refused(ask, "the answer has more than 100000 bytes")


async def test_a_redirect_is_not_followed(ask: Asker) -> None:
    followed: list[str] = []

    async def away(_: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("/there")

    async def there(request: web.Request) -> web.StreamResponse:
        followed.append(request.path)
        return web.Response()

    async with hook_server.serve({"/": away, "/there": there}) as server:
        await configure(ask, "Validating", webhook("w.x.io", server.client()))
        await refused(ask, f"{FAILED}failed to call webhook: the server responded with")
        assert not followed


RUBBISH = [
    "",
    "no JSON",
    "[]",
    "null",
    '{"response": 7}',
    '{"response": {"allowed": "yes"}}',
    '{"kind": "AdmissionReview", "apiVersion": 3, "response": {"allowed": true}}',
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"response": {"uid": "\\ud800"}}',
]


@pytest.mark.parametrize("text", RUBBISH, ids=range(len(RUBBISH)))
async def test_rubbish_is_no_answer(ask: Asker, text: str) -> None:
    async def rubbish(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text.encode(), content_type="application/json")

    async with hook_server.serve({"/": rubbish}) as server:
        await configure(ask, "Mutating", webhook("w.x.io", server.client()))
        await refused(ask, FAILED)


LIES: list[list[dict[str, Any]]] = [
    [{"op": "replace", "path": "/kind", "value": "Secret"}],
    [{"op": "replace", "path": "/apiVersion", "value": "v2"}],
    [{"op": "replace", "path": "/metadata", "value": []}],
    [{"op": "replace", "path": "", "value": 5}],
    [{"op": "replace", "path": "/data", "value": [1]}],
    [{"op": "remove", "path": "/nowhere/at/all"}],
    [{"op": "test", "path": "/data/a", "value": "other"}],
]


@pytest.mark.parametrize("steps", LIES, ids=range(len(LIES)))
async def test_a_patch_makes_no_other_kind(ask: Asker, steps: list[dict[str, Any]]) -> None:
    async with hook_server.admission({"/": lambda _: hook_server.patch(*steps)}) as server:
        await configure(ask, "Mutating", webhook("w.x.io", server.client()))
        await refused(ask, "Internal error occurred")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{}", "5", "[5]", '[{"op": 5}]', '[{"op": "add", "path": "/data/x"', ""]
)
async def test_what_is_no_patch_is_none(ask: Asker, text: str) -> None:
    patch = base64.b64encode(text.encode() or b" ").decode()
    response = {"patch": patch, "patchType": "JSONPatch"}
    async with hook_server.admission({"/": lambda _: response}) as server:
        await configure(ask, "Mutating", webhook("w.x.io", server.client()))
        await refused(ask, f"{FAILED}received undecodable patch in webhook response: ")


async def test_a_value_of_a_patch_may_not_be_too_deep(ask: Asker) -> None:
    text = '[{"op": "add", "path": "/metadata/annotations", "value": %s}]'
    nested = text % ("[" * 50_000 + "]" * 50_000)
    patch = base64.b64encode(nested.encode()).decode()
    async with hook_server.admission(
        {"/": lambda _: {"patch": patch, "patchType": "JSONPatch"}}
    ) as server:
        await configure(ask, "Mutating", webhook("w.x.io", server.client()))
        await refused(ask, "Internal error occurred: ")


async def test_a_patch_moves_no_object(ask: Asker) -> None:
    def moved(_: dict[str, Any]) -> dict[str, Any]:
        step = {"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}
        return hook_server.patch(step)

    async with hook_server.admission({"/": moved}) as server:
        await configure(ask, "Mutating", webhook("w.x.io", server.client()))
        status, _ = await ask("POST", MAPS, MAP)
        assert 400 <= status < 500
        for namespace in ("default", "kube-system"):
            assert (await ask("GET", f"/api/v1/namespaces/{namespace}/configmaps/m"))[0] == 404


async def test_a_patch_that_grows_without_end_is_refused(ask: Asker) -> None:
    steps = [{"op": "copy", "from": "/data", "path": f"/data/x{i}"} for i in range(40)]
    async with hook_server.admission({"/": lambda _: hook_server.patch(*steps)}) as server:
        await configure(ask, "Mutating", webhook("w.x.io", server.client()))
        await refused(ask, "Internal error occurred")


async def test_one_that_writes_what_it_is_asked_about_does_not_loop_for_ever(ask: Asker) -> None:
    depth = 0

    async def write(request: web.Request) -> web.StreamResponse:
        nonlocal depth
        depth += 1
        review = await request.json()
        name = f"m{depth}"
        status, _ = await ask("POST", MAPS, {**MAP, "metadata": {"name": name}})
        response = {"uid": review["request"]["uid"], "allowed": status == 201}
        return web.Response(
            text=json.dumps({**review, "response": response}), content_type="application/json"
        )

    async with hook_server.serve({"/": write}) as server:
        hook = webhook("w.x.io", server.client(), timeoutSeconds=1)
        await configure(ask, "Validating", hook)
        async with asyncio.timeout(30):
            status, _ = await ask("POST", MAPS, MAP)
        assert status == 500
        assert (await ask.must("GET", MAPS))["items"] == []


async def test_it_cannot_forbid_to_take_it_away(ask: Asker) -> None:
    hook = webhook("w.x.io", {"url": "https://127.0.0.1:1/"})
    hook["rules"][0] |= {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    await configure(ask, "Validating", hook)
    assert (await ask("POST", MAPS, MAP))[0] == 500
    await ask.must("DELETE", f"{HOOKS}/validatingwebhookconfigurations/c")
    await ask.must("POST", MAPS, MAP)
