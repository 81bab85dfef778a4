"""The API server as a Component: open the store, bootstrap, listen, keep house, until cancelled.

In: a config and the injected world. Out: nothing but what it serves. House-keeping is one task
each: compaction of the store's history, expiry of kinds that have a life time (events), and the
objects that every cluster has.
"""

from __future__ import annotations

import asyncio

from trireme.apiserver import expiry, serve
from trireme.apiserver.aggregate import availability, register
from trireme.apiserver.bootstrap import run as bootstrap
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.crd import lifecycle
from trireme.apiserver.server import ApiServer, compact
from trireme.kit.env import Env


async def run(config: ApiServerConfig, env: Env) -> None:
    """Serve until cancelled. Says ``started`` once it is ready and listens."""
    async with config.store, asyncio.TaskGroup() as group:
        server = ApiServer(config, env)
        try:
            await bootstrap.run(server)
            async with serve.listening(server) as bound:
                for host, port in bound:
                    env.log.info("listening on https://%s:%s", host, port)
                start_post_start_hooks(server, group)
                env.started()
                await asyncio.get_running_loop().create_future()
        finally:
            await server.close()


def start_post_start_hooks(server: ApiServer, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    """Start the tasks that go on as long as the server does, until they are cancelled."""
    return [
        group.create_task(compact(server), name="compaction"),
        group.create_task(expiry.expire(server), name="expiry"),
        group.create_task(bootstrap.keep(server), name="system objects"),
        group.create_task(lifecycle.run(server), name="custom kinds"),
        group.create_task(register.run(server), name="api services"),
        group.create_task(availability.run(server), name="api services' availability"),
    ]
