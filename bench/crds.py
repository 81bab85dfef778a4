"""What CustomResourceDefinitions cost: time until one is served, and 1,000 of them installed.

Run: ``python bench/crds.py [count]``. In one process, on the memory store, with the whole write
path. Each definition has a schema of 50 fields. Printed: milliseconds from the request to
Established, the same with all installed, memory per definition (resident set, before any is used),
microseconds of a create, of a get and of discovery, with one and with all installed.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.testing import control_plane

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ADMIN = User("admin", groups=("system:masters", "system:authenticated"))
FIELDS = 50


def definition(number: int) -> dict[str, Any]:
    field = {"type": "string", "maxLength": 64, "description": "A field of some kind." * 4}
    spec = {"type": "object", "properties": {f"field{i}": field for i in range(FIELDS)}}
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things{number}.bench.example.com"},
        "spec": {
            "group": "bench.example.com",
            "names": {"plural": f"things{number}", "kind": f"Thing{number}"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


async def ask(server: ApiServer, method: str, path: str, body: Any = None) -> Any:
    data = b"" if body is None else msgspec.json.encode(body)
    answer = await chain.handle(server, Request(method, path, "", {}, data, user=ADMIN))
    assert isinstance(answer, Reply), answer
    return answer.status, answer.body


async def install(server: ApiServer, number: int) -> float:
    """Milliseconds until the definition is established and its kind is served."""
    began = time.perf_counter()
    await ask(server, "POST", CRDS, definition(number))
    path = f"/apis/bench.example.com/v1/namespaces/default/things{number}"
    while True:
        status, _ = await ask(server, "GET", path)
        if status == 200:
            return (time.perf_counter() - began) * 1e3
        await asyncio.sleep(0)


def resident() -> float:
    """MB of memory that this process has."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


async def costs(server: ApiServer, number: int) -> dict[str, float]:
    path = f"/apis/bench.example.com/v1/namespaces/default/things{number}"
    spec = {f"field{i}": "value" for i in range(10)}
    thing = {"apiVersion": "bench.example.com/v1", "kind": f"Thing{number}", "spec": spec}
    found: dict[str, float] = {}

    async def measure(name: str, count: int, call: Any) -> None:
        await call(0)
        began = time.perf_counter()
        for each in range(1, count):
            await call(each)
        found[name] = (time.perf_counter() - began) / (count - 1) * 1e6

    def create(each: int) -> Any:
        return ask(server, "POST", path, thing | {"metadata": {"name": f"t{each}"}})

    await measure("create", 500, create)
    await measure("get", 500, lambda each: ask(server, "GET", f"{path}/t1"))
    await measure("list 500", 20, lambda each: ask(server, "GET", path))
    await measure("discovery", 20, lambda each: ask(server, "GET", "/apis/bench.example.com/v1"))
    return found


async def main(count: int) -> None:
    async with control_plane.api_server(post_start_hooks=True) as server:
        # As in a process of its own: what is imported is not looked through again.
        gc.freeze()
        first = await install(server, 0)
        alone = await costs(server, 0)
        before = resident()
        began = time.perf_counter()
        times = [await install(server, number) for number in range(1, count + 1)]
        whole = time.perf_counter() - began
        grown = resident() - before
        size = len(msgspec.json.encode(definition(1)))
        print(f"served after: first {first:.1f} ms, median {statistics.median(times):.1f} ms, "
              f"last {times[-1]:.1f} ms, worst {max(times):.1f} ms")  # fmt: skip
        print(f"{count} definitions of {size / 1e3:.1f} kB: {whole:.1f} s, {grown:.1f} MB "
              f"({grown / count * 1e3:.0f} kB each)")  # fmt: skip
        crowded = await costs(server, count)
        for name, value in alone.items():
            print(f"{name:12} {value:8.0f} us alone, {crowded[name]:8.0f} us with {count}")
        for path in ("/openapi/v3", "/openapi/v2"):
            began = time.perf_counter()
            await ask(server, "GET", path)
            print(f"{path:12} {(time.perf_counter() - began) * 1e3:8.0f} ms, first time")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
