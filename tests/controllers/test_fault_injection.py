"""A network and a server that fail at random: in the end all is as it should be."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from tests.controllers import harness
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.client.transport import Response, Stream, Transport, Unreachable
from trireme.machinery import errors, meta
from trireme.machinery.codec import json
from trireme.testing import virtual


class Weather:
    """How bad it is: the share of requests that fail; ``silent``: whether answers get lost."""

    def __init__(self, rng: random.Random, *, silent: bool = True) -> None:
        self.rng = rng
        self.bad = 0.0
        self.silent = silent

    def strikes(self) -> bool:
        return self.rng.random() < self.bad


class Flaky:
    """A transport out in the weather: requests do not arrive, are refused, or are carried out
    without an answer; streams break."""

    def __init__(self, inner: Transport, weather: Weather) -> None:
        self._inner = inner
        self._weather = weather

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        if not self._weather.strikes():
            return await self._inner.request(method, path, query, headers, body)
        kind = self._weather.rng.randrange(4)
        if kind == 0:
            raise Unreachable(f"{method} {path}: not sent")
        if kind == 1 and self._weather.silent:
            await self._inner.request(method, path, query, headers, body)
            raise Unreachable(f"{method} {path}: no answer")
        error = errors.conflict("things", "x") if kind == 2 else errors.internal_error("weather")
        return Response(error.code, {}, json.encode(error.status()))

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        if self._weather.strikes():
            raise Unreachable(f"{method} {path}: not sent")
        async with self._inner.stream(method, path, query, headers, body) as stream:
            yield Stream(stream.status, stream.headers, self._chunks(stream.chunks))

    async def _chunks(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._weather.strikes():
                raise Unreachable("the stream broke")
            yield chunk

    async def close(self) -> None:
        await self._inner.close()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_weather(seed):
    @virtual.test(seed=seed)
    async def story(env):
        weather = Weather(random.Random(seed))
        async with harness.world(env, through=lambda inner: Flaky(inner, weather)) as w:
            weather.bad = 0.2
            await w.client.create(harness.deployment())
            spec = core.ServiceSpec(selector={"app": "web"}, ports=[core.ServicePort(port=80)])
            metadata = meta.ObjectMeta(name="web", namespace="default")
            await w.client.create(core.Service(metadata=metadata, spec=spec))
            for number in range(6):
                await env.clock.sleep(weather.rng.uniform(1, 20))
                container = {"name": "main", "image": f"v{number}"}
                change = {
                    "replicas": weather.rng.randint(1, 8),
                    "template": {"spec": {"containers": [container]}},
                }
                await w.client.patch(Deployment, "web", "default", {"spec": change}, "strategic")
            weather.bad = 0.0
            # Whoever failed often waits long.
            await env.clock.sleep(2500)
            found = w.get(Deployment, "web")
            expected, status = found.spec.replicas, found.status
            assert (status.updatedReplicas, status.replicas) == (expected, expected)
            assert status.availableReplicas == expected
            assert len(w.pods(app="web")) == expected
            assert {pod.spec.containers[0].image for pod in w.pods(app="web")} == {"v5"}
            slices = [s for s in w.list(EndpointSlice, "default") if s.metadata.ownerReferences]
            listed = {e.targetRef.name for s in slices for e in s.endpoints}
            assert listed == {pod.metadata.name for pod in w.pods(app="web")}
            assert not await w.quiet(600)
            weather.bad = 0.2
            await w.client.delete(Deployment, "web", "default")
            await asyncio.sleep(20)
            weather.bad = 0.0
            await env.clock.sleep(2500)
            assert not w.list(ReplicaSet) and not w.pods(app="web")

    story()
