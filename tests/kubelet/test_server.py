"""The HTTPS server: who may, logs, streams that pass through, statistics."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.kubelet.harness import pod
from tests.kubelet.served import AUTHORITY, ServedNode, ask, context, served

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.kubelet.cri import model
from trireme.kubelet.server import logs, stats
from trireme.kubelet.server.logs import NoLogs


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ServedNode]:
    async with served(tmp_path) as made:
        yield made


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
    status, text = await ask(node, "/exec/default/web/none?command=sh&output=1", admin)
    assert (status, text) == (500, 'container not found ("none")')


def test_which_log_is_meant() -> None:
    of = pod("web")

    def status(**fields: Any) -> core.PodStatus:
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
