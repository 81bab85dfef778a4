"""Requests to the real API server, in process, as any user or with any header."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest

from trireme.apiserver import chain
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.testing import control_plane

KEY = pki.new_key()
ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


class Asker:
    """One API server, and who asks it."""

    def __init__(self, server: ApiServer, user: User | None = ADMIN) -> None:
        self.server = server
        self.user = user

    def as_user(self, name: str, *groups: str) -> Asker:
        """The same server asked by another authenticated user."""
        return Asker(self.server, User(name, groups=(*groups, "system:authenticated")))

    def as_node(self, name: str) -> Asker:
        return self.as_user(f"system:node:{name}", "system:nodes")

    def unknown(self) -> Asker:
        """The same server asked by whoever the headers say."""
        return Asker(self.server, None)

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        peer: bytes | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded answer; the text of a failure as it is."""
        answer = await self.answer(method, path, body, headers, peer)
        if answer.status >= 400 and answer.content_type.startswith("text/"):
            return answer.status, answer.body.decode()
        return answer.status, msgspec.json.decode(answer.body)

    async def answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        peer: bytes | None = None,
    ) -> Any:
        """The answer as it is."""
        path, _, query = path.partition("?")
        data = b"" if body is None else msgspec.json.encode(body)
        request = Request(
            method, path, query, headers or {}, data, peer_certificate=peer, user=self.user
        )
        return await chain.handle(self.server, request)

    async def must(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer to a request that has to succeed."""
        status, answer = await self(method, path, body, headers)
        assert status < 300, answer
        return answer


@pytest.fixture
def asking() -> Callable[..., AbstractAsyncContextManager[Asker]]:
    """``async with asking(env, **config) as ask``: an administrator at a bootstrapped server."""

    @asynccontextmanager
    async def serve(env: Env, **config: Any) -> AsyncIterator[Asker]:
        async with control_plane.api_server(env, **config) as server:
            yield Asker(server)

    return serve
