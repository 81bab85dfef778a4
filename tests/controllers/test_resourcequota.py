"""The quota controller: counts what there is, and gives back what goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.resourcequota_types import ResourceQuotaSpec
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.client.transport import Stream, Transport
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.testing import virtual
from trireme.testing.transports import PassThrough


def quota(**hard: str) -> core.ResourceQuota:
    named = {name.replace("__", "/").replace("_", "."): text for name, text in hard.items()}
    return core.ResourceQuota(
        metadata=meta.ObjectMeta(name="q", namespace="default"), spec=ResourceQuotaSpec(hard=named)
    )


def pod(name: str, cpu: str = "1") -> core.Pod:
    container = Container(name="c", image="i", resources=ResourceRequirements(limits={"cpu": cpu}))
    return core.Pod(
        metadata=meta.ObjectMeta(name=name, namespace="default"),
        spec=PodSpec(containers=[container]),
    )


def config_map(name: str) -> core.ConfigMap:
    return core.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"))


async def used(world: Any) -> dict[str, str]:
    found = await world.client.get(core.ResourceQuota, "q", "default")
    answer: dict[str, str] = found.status.used
    return answer


@virtual.test()
async def test_what_is_there_counts_and_what_goes_does_not(env: Env) -> None:
    async with harness.world(env) as world:
        client = world.client
        await client.create(config_map("a"))
        await client.create(pod("p"))
        await client.create(quota(configmaps="5", pods="2", limits_cpu="3"))
        await env.clock.sleep(1)
        # kube-root-ca.crt is one as well.
        maps = len((await client.list(core.ConfigMap, "default")).items)
        assert await used(world) == {"configmaps": str(maps), "pods": "1", "limits.cpu": "1"}
        await client.create(config_map("b"))
        assert (await used(world))["configmaps"] == str(maps + 1)
        await client.delete(core.ConfigMap, "b", "default")
        await client.delete(core.Pod, "p", "default")
        await env.clock.sleep(1)
        assert await used(world) == {"configmaps": str(maps), "pods": "0", "limits.cpu": "0"}


class LateWatch(PassThrough):
    """The events of one resource come two seconds late."""

    def __init__(self, inner: Transport, resource: str, env: Env) -> None:
        super().__init__(inner)
        self._resource = resource
        self._clock = env.clock

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        async with super().stream(method, path, query, headers, body) as found:
            if path.endswith(f"/{self._resource}"):
                yield Stream(found.status, found.headers, self._late(found))
            else:
                yield found

    async def _late(self, stream: Stream) -> AsyncIterator[bytes]:
        async for chunk in stream.chunks:
            await self._clock.sleep(2)
            yield chunk


@pytest.mark.parametrize("resource", ["resourcequotas", "configmaps", "pods"])
@virtual.test()
async def test_what_a_cache_shows_late_is_counted(env: Env, resource: str) -> None:
    async with harness.world(env, through=lambda inner: LateWatch(inner, resource, env)) as world:
        # Every cache is in use before the objects come.
        await world.client.create(quota(configmaps="9", pods="9", resourcequotas="9"))
        await env.clock.sleep(5)
        await world.client.delete(core.ResourceQuota, "q", "default")
        await env.clock.sleep(5)
        await world.client.create(config_map("a"))
        await world.client.create(pod("p"))
        await world.client.create(quota(configmaps="9", pods="9", resourcequotas="9"))
        await env.clock.sleep(30)
        maps = len((await world.client.list(core.ConfigMap, "default")).items)
        expected = {"configmaps": str(maps), "pods": "1", "resourcequotas": "1"}
        assert await used(world) == expected


@virtual.test()
async def test_a_pod_that_ended_uses_no_compute_resources(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(quota(count__pods="9", pods="2", limits_cpu="3"))
        await env.clock.sleep(1)
        made = await world.client.create(pod("p"))
        made.status.phase = "Succeeded"
        await world.client.update_status(made)
        await env.clock.sleep(1)
        assert await used(world) == {"count/pods": "1", "pods": "0", "limits.cpu": "0"}


@virtual.test()
async def test_a_write_that_was_charged_and_failed_is_given_back(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(config_map("a"))
        await world.client.create(quota(configmaps="9"))
        await env.clock.sleep(1)
        before = await used(world)
        for _ in range(2):
            with pytest.raises(errors.ApiError, match="already exists"):
                await world.client.create(config_map("a"))
        assert await used(world) != before
        await env.clock.sleep(301)
        assert await used(world) == before


@virtual.test()
async def test_the_spec_changes(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(quota(pods="2"))
        await env.clock.sleep(1)
        hard = {"spec": {"hard": {"pods": None, "secrets": "3", "count/widgets.example.com": "1"}}}
        await world.client.patch(core.ResourceQuota, "q", "default", hard)
        await env.clock.sleep(1)
        found = await world.client.get(core.ResourceQuota, "q", "default")
        assert found.status.hard == {"secrets": "3", "count/widgets.example.com": "1"}
        # Nothing of that name is served: its usage is not known.
        assert found.status.used == {"secrets": "0"}


@virtual.test()
async def test_it_writes_nothing_when_nothing_changed(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(quota(pods="2", count__deployments_apps="4"))
        await env.clock.sleep(1)
        world.writes.clear()
        await env.clock.sleep(1000)
        assert not [write for write in world.writes if "resourcequota" in str(write)]


DEVICES = "gpu.example.com.deviceclass.resource.k8s.io/devices"


def device_claim(name: str, *requests: dict[str, Any]) -> ResourceClaim:
    body = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"devices": {"requests": list(requests)}},
    }
    return msgspec.convert(body, ResourceClaim)


def exactly(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "exactly": {"deviceClassName": "gpu.example.com", **more}}


def first_of(name: str, *counts: int) -> dict[str, Any]:
    alternatives = [
        {"name": f"a{count}", "deviceClassName": "gpu.example.com", "count": count}
        for count in counts
    ]
    return {"name": name, "firstAvailable": alternatives}


@virtual.test()
async def test_devices_count_by_their_class(env: Env) -> None:
    async with harness.world(env) as world:
        client = world.client
        claims = "count/resourceclaims.resource.k8s.io"
        made = core.ResourceQuota(
            metadata=meta.ObjectMeta(name="q", namespace="default"),
            spec=ResourceQuotaSpec(hard={DEVICES: "6", claims: "3"}),
        )
        await client.create(device_claim("first", exactly("one", count=2)))
        await client.create(made)
        await env.clock.sleep(1)
        assert await used(world) == {DEVICES: "2", claims: "1"}
        # Of alternatives the largest counts, of each request.
        await client.create(device_claim("second", first_of("some", 1, 3), exactly("one")))
        assert await used(world) == {DEVICES: "6", claims: "2"}
        for requests in ((exactly("one"),), (exactly("all", allocationMode="All"),)):
            with pytest.raises(errors.ApiError, match="exceeded quota: q, requested: "):
                await client.create(device_claim("third", *requests))
        await client.delete(ResourceClaim, "second", "default")
        await env.clock.sleep(1)
        assert await used(world) == {DEVICES: "2", claims: "1"}
