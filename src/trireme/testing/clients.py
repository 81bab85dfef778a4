"""Clients of an API server in the same process, as any user: for tests.

In: an ``ApiServer`` and an identity. Out: a ``Client`` whose requests pass the whole filter chain
(authorization, admission), without sockets or authentication.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from trireme.apiserver import chain
from trireme.apiserver.reply.reply import StreamReply, UpgradeReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.client.client import Client
from trireme.client.inproc import Handler, InProcess

ADMIN = ("admin", ("system:masters", "system:authenticated"))


def client(server: ApiServer, user: str = ADMIN[0], groups: tuple[str, ...] = ADMIN[1]) -> Client:
    """A client as ``user``; by default one who may do everything."""
    return Client(transport(server, user, groups), f"test/{user}", server.env.clock)


def transport(
    server: ApiServer, user: str = ADMIN[0], groups: tuple[str, ...] = ADMIN[1]
) -> InProcess:
    """A transport as ``user``, to be wrapped."""
    return InProcess(handler(server, user, groups))


def handler(server: ApiServer, user: str, groups: tuple[str, ...]) -> Handler:
    """What ``InProcess`` calls: one request as one user."""
    identity = User(user, groups=groups)

    async def handle(
        method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes | AsyncIterator[bytes]]:
        request = Request(method, path, query, headers, body, user=identity)
        answer = await chain.handle(server, request)
        if isinstance(answer, UpgradeReply):
            raise NotImplementedError(f"{method} {path}: no upgrades in process")
        answered = {name.lower(): value for name, value in answer.headers.items()}
        content = answer.chunks if isinstance(answer, StreamReply) else answer.body
        return answer.status, answered, content

    return handle
