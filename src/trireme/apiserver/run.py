"""The API server as a Component: open the store, bootstrap, listen, keep house, until cancelled."""

from __future__ import annotations

import asyncio

from trireme.apiserver import serve
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.server import ApiServer, compact
from trireme.kit.env import Env


async def run(config: ApiServerConfig, env: Env) -> None:
    """Serve until cancelled. Says ``started`` once it is ready and listens."""
    async with config.store, asyncio.TaskGroup() as group:
        server = ApiServer(config, env)
        try:
            group.create_task(compact(server), name="compaction")
            async with serve.listening(server) as bound:
                server.bootstrapped.set()
                for host, port in bound:
                    env.log.info("listening on https://%s:%s", host, port)
                env.started()
                await asyncio.get_running_loop().create_future()
        finally:
            await server.kubelets.close()
