"""A component's start is no stampede: few lists are read at a time, and resyncs spread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.client.resource_interface import MODIFIED
from trireme.client.transport import Response, Transport
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime.informer import LISTS, Event, Informers
from trireme.testing import clients, virtual
from trireme.testing.transports import PassThrough

KINDS = (
    core.ConfigMap,
    core.Endpoints,
    core.LimitRange,
    core.Namespace,
    core.Node,
    core.PersistentVolume,
    core.PersistentVolumeClaim,
    core.Pod,
    core.PodTemplate,
    core.ReplicationController,
    core.ResourceQuota,
    core.Secret,
    core.Service,
    core.ServiceAccount,
)


class Slow(PassThrough):
    """A transport whose answers take a second; how many were under way at most."""

    def __init__(self, inner: Transport, env: Env) -> None:
        super().__init__(inner)
        self._env = env
        self.now = self.most = self.total = 0

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        self.now += 1
        self.total += 1
        self.most = max(self.most, self.now)
        await self._env.clock.sleep(1.0)
        self.now -= 1
        return await super().request(method, path, query, headers, body)


@virtual.test()
async def test_few_lists_are_read_at_a_time(env: Env, world) -> None:
    async with world(env) as w:
        slow = Slow(clients.transport(w.server), env)
        informers = Informers(Client(slow, "test", env.clock), env)
        for kind in KINDS:
            informers.of(kind)
        async with asyncio.TaskGroup() as group:
            informers.start(group)
            await informers.synced()
            assert slow.total == len(KINDS) > LISTS
            assert slow.most == LISTS
            _end_informers()


@virtual.test()
async def test_handlers_are_called_anew_after_once_to_twice_the_period(env: Env, world) -> None:
    async with world(env) as w:
        made = core.ConfigMap(metadata=meta.ObjectMeta(name="a", namespace="default"))
        await w.client.create(made)
        informers = Informers(w.client, env, resync=1000.0)
        maps = informers.of(core.ConfigMap)
        events: list[tuple[float, Event[core.ConfigMap]]] = []
        async with asyncio.TaskGroup() as group:
            informers.start(group)
            await informers.synced()
            began = env.clock.monotonic()
            maps.add_handler(lambda event: events.append((env.clock.monotonic() - began, event)))
            await env.clock.sleep(2000.0)
            times = [when for when, event in events[1:]]
            assert 1 <= len(times) <= 2 and times[0] >= 1000.0
            resynced = events[1][1]
            assert resynced.type == MODIFIED and resynced.old is resynced.object
            _end_informers()


def _end_informers() -> None:
    for task in asyncio.all_tasks():
        if task.get_name() in ("informer", "resync"):
            task.cancel()
