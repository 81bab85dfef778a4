"""Clients of an API server in the same process, as any user: for tests.

In: an ``ApiServer`` and an identity. Out: a ``Client`` whose requests pass the whole filter chain
(authorization, admission), without sockets or authentication.
"""

from __future__ import annotations

from trireme.apiserver.request import User
from trireme.apiserver.server import ApiServer
from trireme.client.client import Client
from trireme.client.inproc import Handler, InProcess
from trireme.cluster import direct

ADMIN = ("admin", ("system:masters", "system:authenticated"))


def client(server: ApiServer, user: str = ADMIN[0], groups: tuple[str, ...] = ADMIN[1]) -> Client:
    """A client as ``user``; by default one who may do everything."""
    return Client(transport(server, user, groups), f"test/{user}", server.context.env.clock)


def transport(
    server: ApiServer, user: str = ADMIN[0], groups: tuple[str, ...] = ADMIN[1]
) -> InProcess:
    """A transport as ``user``, to be wrapped."""
    return InProcess(handler(server, user, groups))


def handler(server: ApiServer, user: str, groups: tuple[str, ...]) -> Handler:
    """What ``InProcess`` calls: one request as one user."""
    return direct.handler(server, User(user, groups=groups))
