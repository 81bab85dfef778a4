"""The real API server in the test's own process, on the memory store, with what every cluster has.

    async with control_plane.api_server(env) as server:
        admin = clients.client(server)

In: the injected world and what of the configuration the test cares for. Out: an ``ApiServer`` that
has been bootstrapped. Nothing is faked: requests pass authentication (unless they name their user),
authorization and admission. Clients as any user: ``clients``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.apiserver import run
from trireme.apiserver.bootstrap import run as bootstrap
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.registry import SELF, Call
from trireme.apiserver.server import ApiServer
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery.meta import ObjectMeta
from trireme.store.memory import MemoryStore


@asynccontextmanager
async def api_server(
    env: Env | None = None,
    *,
    default_accounts: Iterable[str] = ("default",),
    post_start_hooks: bool = False,
    **config: Any,
) -> AsyncIterator[ApiServer]:
    """A bootstrapped API server; ``config`` are fields of ``ApiServerConfig``.

    ``default_accounts`` are namespaces that get the service account which their pods need, as no
    controller runs here. ``post_start_hooks`` also starts compaction, expiry and repair.
    """
    settings: dict[str, Any] = {
        "store": MemoryStore(),
        "service_accounts": ServiceAccountKeys(pki.new_key()),
    }
    whole = ApiServerConfig(**(settings | config))
    async with whole.store:
        server = ApiServer(whole, env or Env())
        await bootstrap.run(server.context)
        for namespace in default_accounts:
            await account(server, namespace, "default")
        try:
            if post_start_hooks:
                async with _kept(server):
                    yield server
            else:
                yield server
        finally:
            await server.close()


@asynccontextmanager
async def _kept(server: ApiServer) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = run.start_post_start_hooks(server.context, group)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def account(server: ApiServer, namespace: str, name: str) -> None:
    """Make a service account, in a namespace that is there."""
    service_account = ServiceAccount(metadata=ObjectMeta(name=name, namespace=namespace))
    endpoint = server.context.endpoint(ServiceAccount)
    await server.context.registry.create(endpoint, namespace, service_account, Call(SELF))
