"""Asks kubelets what their nodes and pods use: when somebody wants to know, and not more often
than every 15 seconds.

A rate needs two answers. Those of the last question do, unless nobody has asked for a while: then
each kubelet is asked twice, a second apart. Nothing runs while nobody asks. Upstream:
metrics-server, whose --metric-resolution is 15 s by default.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from trireme.api.core.v1.node_types import Node
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.nodes.contract import Kubelets
from trireme.apiserver.resource_metrics import usage
from trireme.apiserver.resource_metrics.usage import Pod, Scrape, Usage
from trireme.kit.env import Env
from trireme.kit.turns import Turns
from trireme.machinery import errors

RESOLUTION = 15.0
# An answer is too old to be compared with.
OLD = 300.0
# Between the two answers of a node that nobody has asked about for a while.
SHORTEST = 1.0
TIMEOUT = 10.0
# Kubelets that are asked at a time.
AT_ONCE = 20
# Of an answer so many bytes are read: 110 pods of 10 containers have 300 KB.
LARGEST = 8 * 1024 * 1024


@dataclass
class Known:
    """What is used, as of the last question."""

    nodes: dict[str, Usage] = field(default_factory=dict)
    pods: dict[Pod, dict[str, Usage]] = field(default_factory=dict)


class Scraper:
    """``known`` is what everybody gets until it is 15 seconds old."""

    def __init__(self, kubelets: Kubelets, reader: Reader, env: Env, turns: Turns) -> None:
        self._kubelets = kubelets
        self._reader = reader
        self._env = env
        self._turns = turns
        self._known = Known()
        self._asked = -OLD
        self._last: dict[str, Scrape] = {}
        self._lock = asyncio.Lock()

    async def known(self) -> Known:
        """What is used now, or was some seconds ago. Nodes that do not answer are left out."""
        clock = self._env.clock
        async with self._lock:
            age = clock.monotonic() - self._asked
            if age >= RESOLUTION:
                names = [node.metadata.name for node in self._reader.list(Node)]
                before = self._last if age < OLD else {}
                new = [name for name in names if name not in before]
                if new:
                    before = before | await self._ask(new)
                    await clock.sleep(SHORTEST)
                self._last = await self._ask(names)
                self._known = _compare(before, self._last)
                self._asked = clock.monotonic()
            return self._known

    async def _ask(self, names: Iterable[str]) -> dict[str, Scrape]:
        some = asyncio.Semaphore(AT_ONCE)
        found: dict[str, Scrape] = {}

        async def ask(name: str) -> None:
            async with some:
                try:
                    async with asyncio.timeout(TIMEOUT):
                        found[name] = await self._scrape(name)
                except (errors.ApiError, TimeoutError, OSError) as problem:
                    self._env.log.info("no resource metrics of node %s: %s", name, problem)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(ask(name), name=f"metrics of {name}")
        return found

    async def _scrape(self, name: str) -> Scrape:
        answer = await self._kubelets.request(name, "GET", "/metrics/resource", "")
        body = bytearray()
        try:
            if answer.status != 200:
                raise errors.service_unavailable(f"it answered {answer.status}")
            async for chunk in answer.chunks:
                body += chunk
                if len(body) > LARGEST:
                    raise errors.service_unavailable("its answer is too large")
        finally:
            await answer.chunks.aclose()
        turn = self._turns.begin()
        reading = usage.read(body.decode("utf-8", "replace"), self._env.clock.now())
        while True:
            try:
                next(reading)
            except StopIteration as done:
                scrape: Scrape = done.value
                return scrape
            await turn.pause()


def _compare(before: dict[str, Scrape], after: dict[str, Scrape]) -> Known:
    known = Known()
    for name, scrape in after.items():
        if name not in before:
            continue
        node = usage.between(before[name].node, scrape.node)
        if node is not None:
            known.nodes[name] = node
        for pod, containers in scrape.pods.items():
            used = usage.of_pod(before[name].pods.get(pod, {}), containers)
            if used is not None:
                known.pods[pod] = used
    return known
