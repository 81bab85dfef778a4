"""The in-process topology: a whole control plane, and nodes with a fake runtime, on one event loop.

In: an ``Env`` (with the virtual clock and a seeded generator in tests), how many nodes. Out: a
running ``InProcessCluster``; leaving the ``async with`` ends it and leaves nothing. Components talk
to the API server by calls, each as its own user, and so under its own RBAC. A cluster is a value:
any number of them live in one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from trireme.apiserver import chain, run
from trireme.apiserver.authn.union import AUTHENTICATED
from trireme.apiserver.bootstrap import run as bootstrap
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.client.client import Client
from trireme.client.inproc import Answer, InProcess
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.store.memory import MemoryStore

ADMIN = User("kubernetes-admin", groups=("system:masters", AUTHENTICATED))


@dataclass
class InProcessCluster:
    """A running cluster. ``client`` may do everything; ``client_for`` acts as another user."""

    server: ApiServer
    env: Env
    group: asyncio.TaskGroup
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.client_for(ADMIN)

    def client_for(self, user: User) -> Client:
        """A client that is authenticated as ``user``."""
        return Client(
            InProcess(_Handler(self.server, user)), user_agent="trireme", clock=self.env.clock
        )


class _Handler:
    """Calls the API server as one user."""

    def __init__(self, server: ApiServer, user: User) -> None:
        self._server = server
        self._user = user

    async def __call__(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        request = Request(method, path, query, headers, body, user=self._user)
        answer = await chain.handle(self._server, request)
        if isinstance(answer, Reply):
            return answer.status, _lower(answer.headers, answer.content_type), answer.body
        if isinstance(answer, StreamReply):
            return answer.status, _lower(answer.headers, answer.content_type), answer.chunks
        raise ConnectionError("a connection in the same process cannot be upgraded")


def _lower(headers: Mapping[str, str], content_type: str) -> dict[str, str]:
    return {"content-type": content_type, **{k.lower(): v for k, v in headers.items()}}


def component_user(name: str) -> User:
    """The identity of a control-plane component: ``system:<name>``."""
    return User(f"system:{name}", groups=(AUTHENTICATED,))


def node_user(name: str) -> User:
    """The identity of a node's kubelet."""
    return User(f"system:node:{name}", groups=("system:nodes", AUTHENTICATED))


@asynccontextmanager
async def api_server(env: Env) -> AsyncIterator[InProcessCluster]:
    """An API server alone, on the memory store, with its bootstrap objects."""
    async with MemoryStore() as store, asyncio.TaskGroup() as group:
        config = ApiServerConfig(store=store, service_accounts=ServiceAccountKeys(pki.new_key()))
        server = ApiServer(config, env.named("apiserver"))
        await bootstrap.run(server)
        tasks = run.keep_house(server, group)
        try:
            yield InProcessCluster(server, env, group)
        finally:
            for task in tasks:
                task.cancel()
            await server.kubelets.close()
