"""The HTTPS server: who may, logs, streams that pass through, statistics."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from harness import Node, api_server, pod

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.kit import pki
from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.kubelet.cgroups.apply import NoCgroups
from trireme.kubelet.component import Kubelet, Parts
from trireme.kubelet.config import ServerConfig
from trireme.kubelet.cri import model
from trireme.kubelet.node.machine import Machine
from trireme.kubelet.server import app, logs, stats
from trireme.kubelet.server.logs import NoLogs
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

    async def exec_url(self, container_id: str, command: list[str], **wanted: bool) -> str:
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


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ServedNode]:
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


async def ask(node: ServedNode, path: str, tls: ssl.SSLContext, **more: object) -> tuple[int, str]:
    assert node.config.server is not None
    url = f"https://127.0.0.1:{node.config.server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls, **more) as answer:
        return answer.status, await answer.text()


async def test_who_may(node: ServedNode, tmp_path: Path) -> None:
    nobody = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    assert await ask(node, "/pods", nobody) == (401, "Unauthorized")
    bad = {"Authorization": "Bearer nonsense"}
    assert await ask(node, "/pods", nobody, headers=bad) == (401, "Unauthorized")
    status, text = await ask(node, "/pods", context(tmp_path, "eve"))
    assert status == 403
    assert text == ("Forbidden (user=eve, verb=get, resource=nodes, subresource(s)=[pods proxy])\n")
    admin = context(tmp_path, "boss", "system:masters")
    status, text = await ask(node, "/pods", admin)
    assert status == 200
    assert [p["metadata"]["name"] for p in msgspec.json.decode(text)["items"]] == ["web"]
    assert await ask(node, "/healthz", admin) == (200, "ok")
    assert (await ask(node, "/nowhere", admin))[0] == 404
    request = authentication.TokenRequest(
        spec=authentication.TokenRequestSpec(expirationSeconds=3600)
    )
    answer = await node.api.client.create_subresource(
        core.ServiceAccount, "default", "default", "token", request, authentication.TokenRequest
    )
    known = {"Authorization": f"Bearer {answer.status.token}"}
    status, text = await ask(node, "/metrics", nobody, headers=known)
    assert status == 403 and "user=system:serviceaccount:default:default" in text


async def test_logs_and_numbers(node: ServedNode, tmp_path: Path) -> None:
    admin = context(tmp_path, "boss", "system:masters")
    assert await ask(node, "/containerLogs/default/web/main", admin) == (200, "one\ntwo\n")
    assert await ask(node, "/containerLogs/default/web/main?tailLines=1", admin) == (200, "two\n")
    status, text = await ask(node, "/containerLogs/default/web/main?previous=true", admin)
    assert (status, text) == (400, 'previous terminated container "main" in pod "web" not found')
    assert (await ask(node, "/containerLogs/default/none/main", admin))[0] == 404
    assert (await ask(node, "/containerLogs/default/web/none", admin))[0] == 404
    status, text = await ask(node, "/stats/summary", admin)
    assert msgspec.json.decode(text)["node"]["nodeName"] == "node-0"
    assert 'kubelet_node_name{node="node-0"} 1.0' in (await ask(node, "/metrics", admin))[1]
    assert "node_cpu_usage_seconds_total" in (await ask(node, "/metrics/resource", admin))[1]
    assert "KubeletConfiguration" in (await ask(node, "/configz", admin))[1]


async def test_streams_pass_through_untouched(node: ServedNode, tmp_path: Path) -> None:
    admin = context(tmp_path, "boss", "system:masters")
    assert node.config.server is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", node.config.server.port, ssl=admin)
    writer.write(
        b"POST /exec/default/web/main?command=sh&output=1 HTTP/1.1\r\nHost: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    for size in (1, 200_000):
        writer.write(b"a" * size)
        assert await reader.readexactly(size) == b"A" * size
    writer.close()
    status, text = await ask(node, "/exec/default/web/none?command=sh", admin)
    assert (status, text) == (500, 'container not found ("none")')


def test_which_log_is_meant() -> None:
    of = pod("web")

    def status(**fields: object) -> core.PodStatus:
        return core.PodStatus(containerStatuses=[core.ContainerStatus(name="main", **fields)])

    waiting = core.ContainerState(waiting=core.ContainerStateWaiting(reason="ImagePullBackOff"))
    ended = core.ContainerState(
        terminated=core.ContainerStateTerminated(exitCode=1, containerID="containerd://old")
    )
    running = core.ContainerState(running=core.ContainerStateRunning())

    def meant(of_status: core.PodStatus, previous: bool = False) -> str:
        return logs.container_id(of, of_status, "main", previous=previous)

    assert meant(status(state=running, containerID="containerd://new")) == "new"
    assert meant(status(state=running, lastState=ended), previous=True) == "old"
    assert meant(status(state=waiting, lastState=ended)) == "old"
    assert meant(status(state=ended)) == "old"
    with pytest.raises(NoLogs, match="trying and failing to pull image"):
        meant(status(state=waiting))
    with pytest.raises(NoLogs, match="not available"):
        meant(core.PodStatus())
    for query in (
        {"tailLines": "x"},
        {"tailLines": "-1"},
        {"limitBytes": "0"},
        {"stream": "no"},
        {"sinceTime": "yesterday"},
    ):
        with pytest.raises(NoLogs):
            logs.options(query, 0.0)


def test_rates_from_two_readings() -> None:
    rates = stats.Rates()
    names = {"io.kubernetes.pod.uid": "u", "io.kubernetes.pod.name": "p"}

    def reading(at: int, total: int) -> list[model.ContainerStats]:
        return [
            model.ContainerStats(
                attributes=model.ContainerAttributes(id="c", labels=names),
                cpu=model.CpuUsage(timestamp=at, usage_core_nano_seconds=total),
                memory=model.MemoryUsage(working_set_bytes=7),
            )
        ]

    assert stats.containers(reading(0, 0), rates)[0].cpu_rate == 0
    assert stats.containers(reading(2 * 10**9, 10**9), rates)[0].cpu_rate == 500_000_000
