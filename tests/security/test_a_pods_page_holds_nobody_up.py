"""A page behind a proxy subresource costs the others nothing, whatever is in it.

Its links are rewritten in a thread, in time linear in its size (``tests/apiserver/test_links.py``);
beyond a limit, also once it would be unpacked, it is passed on as it comes.
"""

from __future__ import annotations

import asyncio
import gzip
import threading
from typing import Any

import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from tests.security import servers
from trireme.apiserver import outgoing
from trireme.apiserver.reply import links, pages
from trireme.apiserver.reply.reply import StreamReply

PODS = "/api/v1/namespaces/default/pods"
HTML = {"Content-Type": "text/html"}


async def proxied(asking: Any, answer: servers.Answer, use: Any) -> None:
    """``use(answer)`` for what comes through the proxy from a pod that answers so."""
    async with servers.server(answer) as backend, asking(None) as ask:
        made = await ask.must("POST", PODS, servers.pod("p"))
        status = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        await ask.must("PUT", f"{PODS}/p/status", made | {"status": status})
        await use(await ask.answer("GET", f"{PODS}/p:{backend.port}/proxy/"))


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "is_proxyable", lambda address: True)


async def test_it_is_rewritten_in_a_thread(asking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    rewrite = links.rewrite_page

    def noticed(*given: Any) -> bytes:
        threads.append(threading.get_ident())
        return rewrite(*given)

    async def answer(request: BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"<a href=/x>", headers=HTML)

    async def use(answer: Any) -> None:
        assert b"/proxy/x" in answer.body

    monkeypatch.setattr(links, "rewrite_page", noticed)
    await proxied(asking, answer, use)
    assert threads
    assert threading.get_ident() not in threads


async def test_a_page_without_an_end_is_passed_on(asking: Any) -> None:
    async def answer(request: BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers=HTML)
        await response.prepare(request)
        while True:
            await response.write(b"<a href='/x'>x</a>" * 1000)
            await asyncio.sleep(0)

    async def use(answer: Any) -> None:
        assert isinstance(answer, StreamReply)
        first = await anext(answer.chunks)
        # What was read before it turned out to be too much, and not a whole chunk more.
        assert pages.LIMIT < len(first) < 2 * pages.LIMIT
        assert await anext(answer.chunks)
        await answer.chunks.aclose()

    await proxied(asking, answer, use)


async def test_a_bomb_is_not_unpacked(asking: Any) -> None:
    bomb = gzip.compress(bytes(300 * 1024 * 1024), compresslevel=9)

    async def answer(request: BaseRequest) -> web.StreamResponse:
        return web.Response(body=bomb, headers=HTML | {"Content-Encoding": "gzip"})

    async def use(answer: Any) -> None:
        assert isinstance(answer, StreamReply)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert b"".join([chunk async for chunk in answer.chunks]) == bomb

    assert len(bomb) < pages.LIMIT
    assert pages.rewrite(bomb, "gzip", "/x", links.Hosts("a")) is None
    await proxied(asking, answer, use)
