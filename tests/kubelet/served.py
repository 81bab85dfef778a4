"""A kubelet whose HTTPS server listens on loopback, with a fake runtime and a real API server."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.kubelet.harness import Node, api_server, pod

from trireme.api.core import v1 as core
from trireme.kit import pki
from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.kubelet.cgroups.apply import NoCgroups
from trireme.kubelet.component import Kubelet, Parts
from trireme.kubelet.config import ServerConfig
from trireme.kubelet.node.machine import Machine
from trireme.kubelet.server import app
from trireme.testing.fake_cri import Behaviour, FakeRuntime

AUTHORITY = pki.new_authority("kubernetes", time.time())


class ServedNode(Node):
    """A node whose server listens on loopback."""

    async def serve(self, group: asyncio.TaskGroup, runtime: FakeRuntime) -> Kubelet:
        self.kubelet = Kubelet(
            self.config,
            self.env,
            Parts(
                client=self.api.node_client(),
                runtime=runtime,
                transport=runtime,
                host=self.host,
                cgroups=NoCgroups(),
                machine=Machine(),
                serve=app.serve,
            ),
            group,
        )
        await self.kubelet.start()
        return self.kubelet


class Streaming(FakeRuntime):
    """A runtime whose streams lead to an echo server."""

    port = 0

    async def exec_url(self, container_id: str, command: list[str], **options: bool) -> str:
        return f"http://127.0.0.1:{self.port}/exec/token"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"SPDY/3.1" in head and b"authorization" not in head.lower()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
    )
    while data := await reader.read(1000):
        writer.write(data.upper())
        await writer.drain()
    writer.close()


def context(folder: Path, user: str, *groups: str) -> ssl.SSLContext:
    pair = pki.issue(AUTHORITY, user, time.time(), organizations=groups)
    path = folder / f"{user}.pem"
    path.write_bytes(pair.key + pair.certificate)
    result = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    result.load_cert_chain(path)
    return result


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[ServedNode]:
    """A node that runs the pod ``web`` and serves."""
    serving = pki.issue(AUTHORITY, "node-0", time.time(), names=["127.0.0.1"], server=True)
    (tmp_path / "tls.crt").write_bytes(serving.certificate)
    (tmp_path / "tls.key").write_bytes(serving.key)
    (tmp_path / "ca.crt").write_bytes(AUTHORITY.certificate)
    with_port = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = with_port.sockets[0].getsockname()[1]
    with_port.close()
    await with_port.wait_closed()
    server = ServerConfig(
        address="127.0.0.1",
        port=port,
        certificate_file=f"{tmp_path}/tls.crt",
        key_file=f"{tmp_path}/tls.key",
        client_ca_file=f"{tmp_path}/ca.crt",
    )
    env = Env(clock=RealClock(), rng=random.Random(1), log=logging.getLogger("kubelet"))
    async with api_server(env) as api, asyncio.TaskGroup() as group:
        made = ServedNode(env, api, server=server)
        runtime = made.cri = Streaming(env, made.host, images=("web",))
        target = await asyncio.start_server(echo, "127.0.0.1", 0)
        runtime.port = target.sockets[0].getsockname()[1]
        runtime.set_behaviour("web", "main", Behaviour(log=("one", "two")))
        live = group.create_task(_live(made, runtime))
        made._task = live
        await made.until(lambda: made.kubelet is not None and api.find(core.Node, "node-0"))
        await api.put(pod("web"))
        await made.until(lambda: made.condition("web", "Ready") == "True", 10)
        try:
            yield made
        finally:
            live.cancel()
            target.close()
            await runtime.close()


async def _live(node: ServedNode, runtime: FakeRuntime) -> None:
    async with asyncio.TaskGroup() as group:
        await node.serve(group, runtime)


async def ask(node: ServedNode, path: str, tls: ssl.SSLContext, **more: Any) -> tuple[int, str]:
    assert node.config.server is not None
    url = f"https://127.0.0.1:{node.config.server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls, **more) as answer:
        return answer.status, await answer.text()
