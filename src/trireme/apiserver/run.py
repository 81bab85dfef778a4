"""The API server as a Component: open the store, bootstrap, listen, run the post-start hooks.

In: a config and the injected world. Out: nothing but what it serves, until it is cancelled.
"""

from __future__ import annotations

import asyncio

from trireme.apiserver import serve
from trireme.apiserver.aggregate import availability, register
from trireme.apiserver.bootstrap import run as bootstrap
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.context import ServerContext
from trireme.apiserver.controllers import (
    compaction,
    definitions,
    expiry,
    flow_schemas,
    forget,
    identity,
    reloads,
    token_use,
)
from trireme.apiserver.encryption.run import Encryption
from trireme.apiserver.server import ApiServer
from trireme.kit.env import Env


async def run(config: ApiServerConfig, env: Env) -> None:
    """Serve until cancelled. Says ``started`` once it is ready and listens."""
    encryption = Encryption(config, env)
    await encryption.start()
    async with config.store, asyncio.TaskGroup() as group:
        server = ApiServer(config, env, encryption)
        group.create_task(encryption.run(), name="encryption at rest")
        try:
            await server.context.authenticator.start()
            await bootstrap.run(server.context)
            async with serve.listening(server) as bound:
                for host, port in bound:
                    env.log.info("listening on https://%s:%s", host, port)
                start_post_start_hooks(server.context, group)
                env.started()
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    server.context.stopping.set()
                    # What sends requests here learns by /readyz that it is to stop.
                    await env.clock.sleep(config.shutdown_delay)
                    await bootstrap.leave(server.context)
        finally:
            await server.close()
            await encryption.close()


def start_post_start_hooks(
    context: ServerContext, group: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    """Start the tasks that go on as long as the server does, until they are cancelled."""
    signer = context.authenticator.signer
    return [
        group.create_task(compaction.compact(context), name="compaction"),
        group.create_task(expiry.expire(context), name="expiry"),
        group.create_task(bootstrap.keep(context), name="system objects"),
        group.create_task(token_use.track(context), name="use of tokens"),
        group.create_task(forget.forget(context), name="what others deleted"),
        group.create_task(identity.keep(context), name="identity"),
        group.create_task(definitions.run(context), name="custom kinds"),
        group.create_task(flow_schemas.run(context), name="flow schemas"),
        *([group.create_task(audit.run(), name="audit")] if (audit := context.audit) else []),
        *([group.create_task(signer.run(), name="keys of tokens")] if signer else []),
        group.create_task(reloads.run(context), name="configuration files"),
        group.create_task(register.run(context), name="api services"),
        group.create_task(availability.run(context), name="api services' availability"),
    ]
