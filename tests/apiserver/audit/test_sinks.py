"""Where audit events go: files that do not grow for ever, and another server."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from trireme.apiserver.audit import log, policy
from trireme.apiserver.audit.event import Event
from trireme.apiserver.audit.log import LogSink
from trireme.apiserver.audit.queue import Queue
from trireme.apiserver.settings.audit import (
    Audit,
    Batch,
    LogSettings,
    Truncation,
    WebhookSettings,
)
from trireme.client.kubeconfig import Access
from trireme.kit.env import Env
from trireme.testing import virtual

POLICY = policy.decode(
    b"apiVersion: audit.k8s.io/v1\nkind: Policy\n"
    b"omitStages: [RequestReceived]\nrules: [{level: RequestResponse}]"
)
MAPS = "/api/v1/namespaces/default/configmaps"


def event(name: str = "a", uri: str = "/x") -> Event:
    return Event(
        kind="Event",
        apiVersion="audit.k8s.io/v1",
        level="Metadata",
        auditID=name,
        stage="ResponseComplete",
        requestURI=uri,
        verb="get",
        user={"username": "jane", "groups": ("a", "b")},
        requestReceivedTimestamp="2030-01-01T00:00:00.000000Z",
    )


def copies(folder: Path) -> list[Path]:
    return list(folder.glob("audit-*"))


@virtual.test()
async def test_a_large_file_is_put_aside(
    env: Env, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MEGABYTE", 1000)
    path = tmp_path / "audit.log"
    sink = LogSink(LogSettings(path, max_size=1, max_backups=2, compress=True), env)
    for number in range(40):
        assert sink.process(event(f"event-{number}"))
        await env.clock.sleep(1.0)
    await sink.close()
    first, second = sorted(copies(tmp_path))
    assert first.name.startswith("audit-2030-01-01T00-00-")
    assert second.name.endswith(".log.gz")
    lines = [*gzip.decompress(second.read_bytes()).splitlines(), *path.read_bytes().splitlines()]
    names = [json.loads(line)["auditID"] for line in lines]
    assert names == [f"event-{number}" for number in range(40 - len(names), 40)]
    assert path.stat().st_size <= 1000
    assert path.stat().st_mode & 0o777 == 0o600


def test_old_files_go() -> None:
    day = 86400.0
    now = 1893456000.0 + 10 * day
    names = [
        "audit.log",
        "audit-2030-01-01T00-00-00.000.log",
        "audit-2030-01-05T00-00-00.000.log.gz",
        "audit-2030-01-10T00-00-00.000.log",
        "audit-notes.log",
        "other-2030-01-01T00-00-00.000.log",
    ]
    path = Path("/x/audit.log")
    assert log.superfluous(names, path, now, 0, 0) == []
    assert log.superfluous(names, path, now, 0, 7) == [names[1]]
    assert log.superfluous(names, path, now, 1, 0) == [names[2], names[1]]


@virtual.test()
async def test_the_legacy_form(env: Env, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    sink = LogSink(LogSettings(path, legacy=True), env)
    sink.process(event())
    await sink.close()
    assert path.read_text() == (
        '2030-01-01T00:00:00.000000Z AUDIT: id="a" stage="ResponseComplete" ip="<unknown>" '
        'method="get" user="jane" groups="\\"a\\",\\"b\\"" as="<self>" asgroups="<lookup>" '
        'user-agent="" namespace="<none>" uri="/x" response="<deferred>"\n'
    )


async def test_a_strict_log_that_cannot_be_written_stops_requests(
    asking: Any, tmp_path: Path
) -> None:
    both = policy.decode(
        b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [create]}]"
    )
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "audit.log"
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    for mode, status in (("blocking-strict", 500), ("blocking", 201)):
        audit = Audit(both, LogSettings(path, mode=mode))
        async with asking(Env(), audit=audit) as ask:
            assert (await ask("POST", MAPS, made))[0] == status


@virtual.test()
async def test_a_queue_sends_full_batches_and_what_has_waited(env: Env) -> None:
    import asyncio

    sent: list[tuple[float, int]] = []
    began = env.clock.monotonic()

    async def store(events: list[Event]) -> bool:
        sent.append((round(env.clock.monotonic() - began, 3), len(events)))
        return True

    queue = Queue(Batch(buffer=7, size=3, wait=30.0, qps=1.0, burst=1), env, store)
    assert [queue.put(event()) for _ in range(8)] == [True] * 7 + [False]
    assert queue.dropped == 1
    running = asyncio.ensure_future(queue.run())
    await env.clock.sleep(100)
    assert sent == [(0.0, 3), (1.0, 3), (31.0, 1)]
    queue.put(event())
    running.cancel()
    await queue.flush()
    assert [size for _, size in sent] == [3, 3, 1, 1]


@asynccontextmanager
async def server(answers: list[int]) -> AsyncIterator[tuple[Access, list[Any]]]:
    """A server that answers with these codes in turn, then with 200; what it was sent."""
    received: list[Any] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        status = answers.pop(0) if answers else 200
        if status == 200:
            received.append(json.loads(body))
        return web.Response(status=status)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Access(server=f"http://127.0.0.1:{runner.addresses[0][1]}/audit"), received
    finally:
        await runner.cleanup()


async def test_another_server_gets_lists(asking: Any) -> None:
    async with server([503, 400]) as (access, received):
        settings = WebhookSettings(access, backoff=0.0, batch=Batch(size=2))
        async with asking(Env(), audit=Audit(POLICY, webhook=settings)) as ask:
            for _ in range(3):
                await ask("GET", MAPS)
        # What is left is sent at the end.
        assert [len(item["items"]) for item in received] == [2, 1]
        assert (received[0]["kind"], received[0]["apiVersion"]) == (
            "EventList",
            "audit.k8s.io/v1",
        )
        assert received[0]["items"][0]["objectRef"]["resource"] == "configmaps"


@pytest.mark.parametrize(("mode", "status"), [("blocking", 200), ("blocking-strict", 500)])
async def test_requests_that_wait_for_it(asking: Any, mode: str, status: int) -> None:
    both = policy.decode(b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]")
    async with server([400] * 5) as (access, received):
        settings = WebhookSettings(access, mode=mode, backoff=0.0)
        async with asking(Env(), audit=Audit(both, webhook=settings)) as ask:
            assert (await ask("GET", MAPS))[0] == status
            assert len(received) == 1


async def test_objects_that_are_too_large_are_left_out(asking: Any, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    settings = LogSettings(path, truncation=Truncation(event=3000))
    made = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "x" * 5000}}
    async with asking(Env(), audit=Audit(POLICY, settings)) as ask:
        for name in ("a", "b"):
            await ask.must("POST", MAPS, made | {"metadata": {"name": name}})
            made["data"] = {}
    large, small = (json.loads(line) for line in path.read_text().splitlines())
    assert "requestObject" not in large
    assert "responseObject" not in large
    assert large["annotations"]["audit.k8s.io/truncated"] == "true"
    assert small["requestObject"]["metadata"]["name"] == "b"
    assert "audit.k8s.io/truncated" not in small["annotations"]
