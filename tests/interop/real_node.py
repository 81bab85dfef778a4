"""A kubelet in this process with real containers: one node of a local cluster, its runtime."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.harness import Api, Node, api_server, container
from trireme.api.core import v1 as core
from trireme.cluster.hosts import local, teardown
from trireme.cluster.images import build, load, recipes
from trireme.kit import pki
from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.kubelet.cgroups import apply
from trireme.kubelet.component import Parts
from trireme.kubelet.config import KubeletConfig, ServerConfig
from trireme.kubelet.cri.client import GrpcRuntime
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.node import machine
from trireme.kubelet.probes.sockets import SocketTransport
from trireme.kubelet.server import app

IMAGE = "docker.io/library/busybox:stable"


# The runtime's stream server listens on the node's loopback, where this process is not.
FORWARD = """
import asyncio, sys
async def pipe(r, w):
    while d := await r.read(65536):
        w.write(d); await w.drain()
    w.close()
async def serve(r, w):
    port = int((await r.readline()).decode())
    r2, w2 = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(pipe(r, w2), pipe(r2, w), return_exceptions=True)
async def main():
    s = await asyncio.start_unix_server(serve, sys.argv[1])
    print("ready", flush=True)
    await s.serve_forever()
asyncio.run(main())
"""
AUTHORITY = pki.new_authority("kubernetes", time.time())


class ForwardedRuntime(GrpcRuntime):
    """A runtime whose stream URLs lead through the forwarder in the node's network."""

    def __init__(self, endpoint: str, forwarder: str) -> None:
        super().__init__(endpoint)
        self._forwarder = forwarder
        self._servers: list[asyncio.Server] = []

    async def exec_url(self, *args: Any, **options: Any) -> str:
        return await self._through(await super().exec_url(*args, **options))

    async def port_forward_url(self, *args: Any, **options: Any) -> str:
        return await self._through(await super().port_forward_url(*args, **options))

    async def _through(self, url: str) -> str:
        host, slash, path = url.removeprefix("http://").partition("/")
        port = host.rpartition(":")[2]

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_unix_connection(self._forwarder)
            back.write(f"{port}\n".encode())

            async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
                target.close()

            await asyncio.gather(pipe(reader, back), pipe(there, writer), return_exceptions=True)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{slash}{path}"

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        await super().close()


class RealNode(Node):
    """A kubelet in this process, its pods on a node of ``hosts``."""

    def __init__(self, env: Env, api: Api, node: local.Node, folder: Path) -> None:
        self.env, self.api = env, api
        self.containerd_socket = node.containerd_socket
        self.runtime = ForwardedRuntime(node.containerd_socket, str(folder / "forward"))
        self.transport = SocketTransport()
        self.host: Any = RealHost()
        self.cgroups = apply.detect(self.env.clock)
        self.config = KubeletConfig(
            node_name="node-0",
            node_ips=(node.ip,),
            root_dir=str(folder / "kubelet"),
            logs_dir=str(folder / "pods"),
            cgroup_parent=node.cgroup_parent,
            cluster_dns=("10.96.0.10",),
            server=_server(folder),
        )
        self._task: asyncio.Task[None] | None = None

    def parts(self) -> Parts:
        return Parts(
            client=self.api.node_client(),
            runtime=self.runtime,
            transport=self.transport,
            host=self.host,
            cgroups=self.cgroups,
            machine=machine.read(self.host),
            serve=app.serve,
        )

    async def close(self) -> None:
        await self.stop()
        await self.transport.close()
        await self.runtime.close()

    async def until(self, holds: Callable[[], Any], seconds: float = 20) -> Any:
        async with asyncio.timeout(seconds):
            while not (found := holds()):
                assert self._task is not None
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.02)
        return found

    def ready(self, name: str) -> bool:
        return self.condition(name, "Ready") == "True"


def _server(folder: Path) -> ServerConfig:
    serving = pki.issue(AUTHORITY, "node-0", time.time(), names=["127.0.0.1"], server=True)
    for name, content in (
        ("tls.crt", serving.certificate),
        ("tls.key", serving.key),
        ("ca.crt", AUTHORITY.certificate),
    ):
        (folder / name).write_bytes(content)
    admin = pki.issue(AUTHORITY, "boss", time.time(), organizations=["system:masters"])
    (folder / "admin.pem").write_bytes(admin.key + admin.certificate)
    return ServerConfig(
        address="127.0.0.1",
        port=21250,
        certificate_file=f"{folder}/tls.crt",
        key_file=f"{folder}/tls.key",
        client_ca_file=f"{folder}/ca.crt",
    )


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RealNode]:
    env = Env(clock=RealClock(), rng=random.Random(1), log=logging.getLogger("kubelet"))
    hosts = local.LocalHosts("t-kubelet", 1)
    await asyncio.to_thread(teardown.teardown, hosts.name)
    forwarder: asyncio.subprocess.Process | None = None
    try:
        await hosts.start()
        await load.load_built(
            build.build(recipes.bundled()), [n.containerd_socket for n in hosts.nodes]
        )
        forwarder = await asyncio.create_subprocess_exec(
            "nsenter",
            f"--net={hosts.nodes[0].netns_path}",
            sys.executable,
            "-c",
            FORWARD,
            str(tmp_path / "forward"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert forwarder.stdout is not None
        await forwarder.stdout.readline()
        async with api_server(env) as api:
            node = RealNode(env, api, hosts.nodes[0], tmp_path)
            try:
                await node.start()
                yield node
                for known in api.pods():
                    await api.delete_pod(known.metadata.name, grace=1)
                await node.until(lambda: not node.kubelet.workers.pods())
            finally:
                await node.close()
    finally:
        if forwarder is not None:
            forwarder.kill()
            await forwarder.wait()
        await hosts.stop()


def shell(script: str, **fields: Any) -> core.Container:
    return container("main", image=IMAGE, command=["sh", "-c", script], **fields)


def waiting(node: RealNode, name: str) -> str:
    statuses = node.api.pod(name).status.containerStatuses
    state = statuses[0].state.waiting if statuses else None
    return state.reason if state is not None else ""
