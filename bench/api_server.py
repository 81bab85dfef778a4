"""One API server as a process of its own: SQLite, TLS, a static administrator's token.

In: ``python bench/api_server.py FOLDER PORT [NAME=VALUE]...``, the latter flags of the API server.
The folder has ``serving.pem``, ``serving.key``, ``ca.pem`` and ``accounts.key``; the store is made
in it. Started by ``subjects``.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from trireme.cluster import compose

TOKEN = "measured"


async def main(folder: Path, port: int, flags: list[str]) -> None:
    """Serve until SIGTERM."""
    from trireme.apiserver import run
    from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
    from trireme.cluster import apiserver_flags
    from trireme.kit.pki import Pair
    from trireme.store.sqlite import SqliteStore

    # As the warmed parent of a real cluster does it: what is imported is never looked at again.
    gc.collect()
    gc.freeze()
    gc.enable()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    config = ApiServerConfig(
        store=SqliteStore(folder / "store.db"),
        service_accounts=ServiceAccountKeys((folder / "accounts.key").read_bytes()),
        listen=(("127.0.0.1", port),),
        serving=Pair((folder / "serving.pem").read_bytes(), (folder / "serving.key").read_bytes()),
        client_authority=(folder / "ca.pem").read_bytes(),
        forks=compose.forks(),
    )
    config = apiserver_flags.configured(config, flags)
    tokens = {TOKEN: ("admin", "1", ("system:masters",))}
    authentication = replace(config.authentication, static_tokens=tokens)
    config = replace(config, authentication=authentication)
    try:
        await run.run(config, compose.environment("apiserver", lambda: None))
    except asyncio.CancelledError:
        return


if __name__ == "__main__":
    gc.disable()
    compose.import_api_server()
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
