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
import time
from pathlib import Path
from typing import Any

import aiohttp
from subjects import TOKEN, Subject

SPACE = "measured"
SEEDED = 9_664
# Those of them that the lists by label and by field find.
FEW = 10
# The size of a pod in the big list: 47 MB in all.
POD_SIZE = 4_860
PODS, MAPS = f"/api/v1/namespaces/{SPACE}/pods", f"/api/v1/namespaces/{SPACE}/configmaps"


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
    return posts(subject, PODS if kind == "pods" else MAPS, body, connections, seconds)


def posts(
    subject: Subject, path: str, body: dict[str, Any], connections: int, seconds: int
) -> float:
    """POSTs of an object per second."""
    return float(_wrk(subject, "POST", path, connections, seconds, json.dumps(body))["rate"])


def gets(subject: Subject, name: str, connections: int, seconds: int) -> float:
    """GETs of one pod per second."""
    return float(_wrk(subject, "GET", f"{PODS}/{name}", connections, seconds)["rate"])


def lists(subject: Subject, path: str, seconds: int) -> float:
    """The median time of any list, in seconds."""
    return float(_wrk(subject, "GET", path, 1, seconds)["median"]) / 1e6


async def definitions(subject: Subject, count: int) -> float:
    """Seconds to create so many CustomResourceDefinitions, each served before the next."""
    async with session(subject) as client:
        began = time.perf_counter()
        for number in range(count):
            plural = f"things{number}"
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await make(client, path, _definition(plural, f"Thing{number}"))
            served = f"/apis/bench.example.com/v1/namespaces/default/{plural}"
            while True:
                async with client.get(served) as answer:
                    await answer.read()
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.005)
        return time.perf_counter() - began


def _definition(plural: str, kind: str) -> dict[str, Any]:
    """A definition with forty fields and a few rules of its schema."""
    fields: dict[str, Any] = {
        f"field{number}": {"type": "string", "maxLength": 100, "description": "A field."}
        for number in range(40)
    }
    fields["count"] = {"type": "integer", "minimum": 1, "default": 1}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": fields}},
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.bench.example.com"},
        "spec": {
            "group": "bench.example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }


async def chunks(subject: Subject, limit: int) -> float:
    """Seconds to list all pods in pages of ``limit``."""
    async with session(subject) as client:
        token, began = "", time.perf_counter()
        while True:
            query = {"limit": str(limit), **({"continue": token} if token else {})}
            async with client.get("/api/v1/pods", params=query) as answer:
                token = (await answer.json())["metadata"].get("continue", "")
            if not token:
                return time.perf_counter() - began


def writes(
    subject: Subject,
    method: str,
    path: str,
    query: str,
    media: str,
    body: str,
    objects: int,
    connections: int,
    seconds: int,
) -> float:
    """Writes per second to ``path`` + 0, 1, ... in turn; NAME and COUNTER in the body are filled
    in for each."""
    script = f"""
local n = 0
local body = {json.dumps(body)}
request = function()
  n = n + 1
  local at = n % {objects}
  local told = body:gsub("NAME", "o-" .. at):gsub("COUNTER", tostring(n) .. "-{connections}")
  return wrk.format("{method}", "{path}" .. at .. "{query}", nil, told)
end
"""
    return float(
        _wrk(subject, method, path, connections, seconds, media=media, script=script)["rate"]
    )


def _wrk(
    subject: Subject,
    method: str,
    path: str,
    connections: int,
    seconds: int,
    body: str = "",
    *,
    media: str = "application/json",
    script: str = "",
) -> dict[str, float]:
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed: apt install wrk")
    received = f"""
wrk.method = "{method}"
wrk.path = "{path}"
wrk.body = {json.dumps(body)}
wrk.headers["Authorization"] = "Bearer {TOKEN}"
wrk.headers["Content-Type"] = "{media}"
{script}
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nRESULT {{"rate": %f, "median": %f, "bad": %d}}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50),
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as folder:
        file = Path(folder, "load.lua")
        file.write_text(received)
        command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
        said = subprocess.run(
            [*command, "-s", str(file), subject.url], capture_output=True, text=True, check=True
        ).stdout
    result: dict[str, float] = json.loads(said.partition("RESULT ")[2])
    if result["bad"]:
        raise Failed(f"{method} {path}: {result['bad']:.0f} answers were errors\n{said}")
    return result


async def prepare(subject: Subject) -> str:
    """The namespace and account that pods need, and one pod; returns that pod's name."""
    async with session(subject) as client:
        await make(client, "/api/v1/namespaces", _named("Namespace", SPACE))
        account = f"/api/v1/namespaces/{SPACE}/serviceaccounts"
        await make(client, account, _named("ServiceAccount", "default"))
        name: str = (await make(client, PODS, pod()))["metadata"]["name"]
        return name


async def seed(subject: Subject) -> float:
    """``SEEDED`` pods of ``POD_SIZE`` each; returns the MB that a list of them has."""
    async with session(subject) as client:
        made = await make(client, PODS, pod(1))
        async with client.get(f"{PODS}/{made['metadata']['name']}") as answer:
            padding = POD_SIZE - len(await answer.read())
        few = pod(max(padding, 1))
        few["metadata"]["labels"]["few"] = "yes"
        few["spec"]["nodeName"] = "few"
        for _ in range(FEW):
            await make(client, PODS, few)
        body, left = json.dumps(pod(max(padding, 1))).encode(), iter(range(SEEDED - 2 - FEW))

        async def some() -> None:
            for _ in left:
                await make(client, PODS, body)

        await asyncio.gather(*(some() for _ in range(16)))
        size = 0
        async with client.get("/api/v1/pods") as answer:
            async for chunk in answer.content.iter_any():
                size += len(chunk)
        return size / 1e6


def _named(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


async def make(client: aiohttp.ClientSession, path: str, body: Any) -> dict[str, Any]:
    """Create an object; the answer. Failed."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data) as answer:
        made: dict[str, Any] = await answer.json()
        if answer.status >= 300:
            raise Failed(f"POST {path}: {answer.status} {made.get('message')}")
        return made


def session(subject: Subject) -> aiohttp.ClientSession:
    """Connections of our own, as the administrator."""
    return aiohttp.ClientSession(
        subject.url,
        connector=aiohttp.TCPConnector(ssl=subject.context(), limit=64),
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
        },
    )
