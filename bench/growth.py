"""What a write costs as the cluster grows: microseconds of CPU per create, in process.

Run: ``python bench/growth.py [OBJECTS [WATCHERS]]``. With 0, a tenth and all of OBJECTS stored, and
beside 0, a tenth and all of WATCHERS that wait for something else: another label, another name,
another node, no label (the same one), no labels (each another one: no index tells these apart).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.testing import control_plane

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))
SAMPLE = 300
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
SELECTORS: dict[str, Callable[[int], str]] = {
    "another label": lambda n: f"labelSelector=app%3Dother-{n}",
    "another name": lambda n: f"fieldSelector=metadata.name%3Dother-{n}",
    "another node": lambda n: f"fieldSelector=spec.nodeName%3Dnode-{n}",
    "no label": lambda _n: "labelSelector=%21app",
    "no labels": lambda n: f"labelSelector=%21app%2C%21other-{n}",
}


def config_map(name: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "data": {"k": "x" * 200},
    }


def pod(name: str) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "n", "containers": [{"name": "main", "image": "example/web:1"}]},
    }


class Bench:
    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.made = 0

    async def create(self, path: str, make: Callable[[str], dict[str, Any]], count: int) -> float:
        """Microseconds per create, with what the watchers do of it."""
        bodies = [msgspec.json.encode(make(f"o-{self.made + n}")) for n in range(count)]
        self.made += count
        began = time.process_time()
        for body in bodies:
            answer = await chain.handle(self.server, Request("POST", path, body=body, user=ADMIN))
            assert isinstance(answer, Reply) and answer.status == 201, answer
            await asyncio.sleep(0)
        return (time.process_time() - began) / count * 1e6

    async def watchers(self, path: str, selector: Callable[[int], str], count: int) -> list[Any]:
        """Watches that have begun and wait."""
        waiting = []
        for number in range(count):
            now = self.server.context.store.revision
            query = f"watch=1&resourceVersion={now}&{selector(number)}"
            answer = await chain.handle(self.server, Request("GET", path, query, user=ADMIN))
            assert isinstance(answer, StreamReply), answer
            waiting.append((answer.chunks, asyncio.ensure_future(anext(answer.chunks, b""))))
        await asyncio.sleep(0)
        return waiting


async def leave(waiting: list[Any]) -> None:
    for _, first in waiting:
        first.cancel()
    await asyncio.gather(*(first for _, first in waiting), return_exceptions=True)
    for chunks, _ in waiting:
        await chunks.aclose()


async def main(objects: int, watchers: int) -> None:
    async with control_plane.api_server() as server:
        bench = Bench(server)
        await bench.create(MAPS, config_map, SAMPLE)
        await bench.create(PODS, pod, SAMPLE)
        print("µs per create of a ConfigMap, by objects stored")
        stored = SAMPLE
        for desired in (0, objects // 10, objects):
            if desired > stored:
                await bench.create(MAPS, config_map, desired - stored)
                stored = desired
            print(f"  {desired:>8,}: {await bench.create(MAPS, config_map, SAMPLE):6.0f}")
            stored += SAMPLE
        print("µs per create, by watchers that wait for")
        for name, selector in SELECTORS.items():
            of_pods = "spec" in selector(0)
            path, make = (PODS, pod) if of_pods else (MAPS, config_map)
            cells = []
            for count in (0, watchers // 10, watchers):
                waiting = await bench.watchers(path, selector, count)
                cells.append(f"{count:>8,}: {await bench.create(path, make, SAMPLE):8.0f}")
                await leave(waiting)
            print(f"  {name:<14}{'   '.join(cells)}")


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]] + [100_000, 10_000][len(sys.argv) - 1 :]
    asyncio.run(main(*given[:2]))
