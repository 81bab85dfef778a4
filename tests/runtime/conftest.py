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

KEY = pki.new_key()
Serving = Callable[[Env], AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def _serving(env: Env) -> AsyncIterator[Client]:
    async with MemoryStore() as store:
        config = ApiServerConfig(store=store, service_accounts=ServiceAccountKeys(KEY))
        client = clients.client(ApiServer(config, env))
        await client.create(core.Namespace(metadata=meta.ObjectMeta(name="default")))
        yield client


@pytest.fixture
def serving() -> Serving:
    """``async with serving(env) as client``: an administrator's client, namespace default."""
    return _serving
