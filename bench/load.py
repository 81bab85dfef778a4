"""Requests by the thousand: ``wrk`` for rates and latencies, a few connections of our own to seed.

In: a ``Subject``. Out: requests per second, seconds, MB. A run in which an answer was an error is
no measurement: ``Failed``.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from subjects import TOKEN, Subject

SPACE = "measured"
SEEDED = 9_664
# The size of a pod in the big list: 47 MB in all.
POD_SIZE = 4_860
_PODS, _MAPS = f"/api/v1/namespaces/{SPACE}/pods", f"/api/v1/namespaces/{SPACE}/configmaps"


class Failed(Exception):
    """The load was not served."""


def config_map() -> dict[str, Any]:
    """A ConfigMap with half a kilobyte."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": "c-"},
        "data": {"k": "v" * 500},
    }


def pod(padding: int = 0) -> dict[str, Any]:
    """A pod with one container, as users write it; ``padding`` makes it larger."""
    metadata: dict[str, Any] = {"generateName": "p-", "labels": {"app": "x"}}
    if padding:
        metadata["annotations"] = {"padding": "x" * padding}
    container = {
        "name": "c",
        "image": "busybox:1",
        "command": ["sleep", "1"],
        "env": [{"name": "A", "value": "b"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container]},
    }


def creates(subject: Subject, kind: str, connections: int, seconds: int) -> float:
    """Durable creates per second of "pods" or "configmaps"."""
    body = pod() if kind == "pods" else config_map()
    path = _PODS if kind == "pods" else _MAPS
    return float(_wrk(subject, "POST", path, connections, seconds, json.dumps(body))["rate"])


def gets(subject: Subject, name: str, connections: int, seconds: int) -> float:
    """GETs of one pod per second."""
    return float(_wrk(subject, "GET", f"{_PODS}/{name}", connections, seconds)["rate"])


def lists(subject: Subject, seconds: int) -> float:
    """The median time of a list of all pods, in seconds."""
    return float(_wrk(subject, "GET", "/api/v1/pods", 1, seconds)["median"]) / 1e6


def _wrk(
    subject: Subject, method: str, path: str, connections: int, seconds: int, body: str = ""
) -> dict[str, float]:
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed: apt install wrk")
    script = f"""
wrk.method = "{method}"
wrk.path = "{path}"
wrk.body = {json.dumps(body)}
wrk.headers["Authorization"] = "Bearer {TOKEN}"
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nRESULT {{"rate": %f, "median": %f, "bad": %d}}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50),
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as folder:
        file = Path(folder, "load.lua")
        file.write_text(script)
        command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
        told = subprocess.run(
            [*command, "-s", str(file), subject.url], capture_output=True, text=True, check=True
        ).stdout
    result: dict[str, float] = json.loads(told.partition("RESULT ")[2])
    if result["bad"]:
        raise Failed(f"{method} {path}: {result['bad']:.0f} answers were errors\n{told}")
    return result


async def prepare(subject: Subject) -> str:
    """The namespace and account that pods need, and one pod; returns that pod's name."""
    async with _session(subject) as session:
        await _make(session, "/api/v1/namespaces", _named("Namespace", SPACE))
        account = f"/api/v1/namespaces/{SPACE}/serviceaccounts"
        await _make(session, account, _named("ServiceAccount", "default"))
        name: str = (await _make(session, _PODS, pod()))["metadata"]["name"]
        return name


async def seed(subject: Subject) -> float:
    """``SEEDED`` pods of ``POD_SIZE`` each; returns the MB that a list of them has."""
    async with _session(subject) as session:
        made = await _make(session, _PODS, pod(1))
        async with session.get(f"{_PODS}/{made['metadata']['name']}") as answer:
            padding = POD_SIZE - len(await answer.read())
        body, left = json.dumps(pod(max(padding, 1))).encode(), iter(range(SEEDED - 2))

        async def some() -> None:
            for _ in left:
                await _make(session, _PODS, body)

        await asyncio.gather(*(some() for _ in range(16)))
        size = 0
        async with session.get("/api/v1/pods") as answer:
            async for chunk in answer.content.iter_any():
                size += len(chunk)
        return size / 1e6


def _named(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


async def _make(session: aiohttp.ClientSession, path: str, body: Any) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with session.post(path, data=data) as answer:
        made: dict[str, Any] = await answer.json()
        if answer.status >= 300:
            raise Failed(f"POST {path}: {answer.status} {made.get('message')}")
        return made


def _session(subject: Subject) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        subject.url,
        connector=aiohttp.TCPConnector(ssl=subject.context(), limit=64),
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
        },
    )
