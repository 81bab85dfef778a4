"""What the tests of the runtime share: the real API server, in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from trireme.api.core import v1 as core
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.server import ApiServer
from trireme.client.client import Client
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.store.memory import MemoryStore
from trireme.testing import clients
from trireme.testing.fault_injection import FaultInjector

KEY = pki.new_key()


class World:
    """An API server, an administrator's client, and clients whose network can fail."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.client = clients.client(server)

    def through(self) -> tuple[Client, FaultInjector]:
        """Another client, and the faults of its connection."""
        injector = FaultInjector(clients.transport(self.server))
        return Client(injector, "test/faulty", self.server.context.env.clock), injector


@asynccontextmanager
async def _world(env: Env) -> AsyncIterator[World]:
    async with MemoryStore() as store:
        config = ApiServerConfig(store=store, service_accounts=ServiceAccountKeys(KEY))
        made = World(ApiServer(config, env))
        await made.client.create(core.Namespace(metadata=meta.ObjectMeta(name="default")))
        yield made


@asynccontextmanager
async def _serving(env: Env) -> AsyncIterator[Client]:
    async with _world(env) as made:
        yield made.client


@pytest.fixture
def serving() -> Callable[[Env], AbstractAsyncContextManager[Client]]:
    """``async with serving(env) as client``: an administrator's client, namespace default."""
    return _serving


@pytest.fixture
def world() -> Callable[[Env], AbstractAsyncContextManager[World]]:
    """``async with world(env) as w``: the same with the server itself."""
    return _world
