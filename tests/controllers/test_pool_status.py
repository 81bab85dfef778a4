"""ResourcePoolStatusRequests: what they are answered, and when they go."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers import test_resource_claims as claims
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1alpha3.resourcepoolstatusrequest_types import (
    ResourcePoolStatusRequest,
)
from trireme.controllers.devices import plan_pools
from trireme.kit.env import Env
from trireme.testing import virtual


def part(
    name: str, pool: str, devices: int, generation: int = 1, of: int = 1, node: str = "n"
) -> ResourceSlice:
    spec = {
        "driver": "x.io",
        "nodeName": node,
        "pool": {"name": pool, "generation": generation, "resourceSliceCount": of},
        "devices": [{"name": f"{name}-{number}"} for number in range(devices)],
    }
    return msgspec.convert({"metadata": {"name": name}, "spec": spec}, ResourceSlice)


def world(env: Env) -> Any:
    only = ("resourcepoolstatusrequest-controller",)
    return harness.world(env, gates=("DRAResourcePoolStatus",), controllers=only, plays="")


def request(**spec: Any) -> ResourcePoolStatusRequest:
    body = {"metadata": {"name": "r"}, "spec": {"driver": "x.io", **spec}}
    return msgspec.convert(body, ResourcePoolStatusRequest)


def pools(of: ResourcePoolStatusRequest, *slices: ResourceSlice) -> Any:
    used = claims.claim(status={"allocation": claims.ALLOCATION})
    return plan_pools.compute_status(of, slices, [used], 0.0)


def test_devices_are_counted_by_pool() -> None:
    slices = [part("b", "q", 3), part("a", "p", 2, generation=2), part("old", "p", 9)]
    status = pools(request(), *slices)
    found = [
        (pool.poolName, pool.totalDevices, pool.allocatedDevices, pool.availableDevices)
        for pool in status.pools
    ]
    assert found == [("p", 2, 1, 1), ("q", 3, 0, 3)]
    assert [pool.nodeName for pool in status.pools] == ["n", "n"]
    assert status.conditions[0].message == "Calculated status for 2 pools"
    assert [pool.poolName for pool in pools(request(poolName="q"), *slices).pools] == ["q"]
    limited = pools(request(limit=1), *slices)
    assert (limited.poolCount, len(limited.pools)) == (2, 1)


def test_a_pool_that_is_not_whole_says_so() -> None:
    status = pools(request(), part("a", "p", 2, of=2), part("b", "q", 1, of=1, node=""))
    assert not plan_pools.is_complete(status)
    assert status.pools[0].validationError == (
        "pool x.io/p is incomplete: observed 1/2 slices at generation 1"
    )
    assert status.pools[0].totalDevices is None
    assert status.pools[1].nodeName is None


def test_a_request_is_answered_and_goes() -> None:
    async def story(env: Env) -> None:
        async with world(env) as w:
            await w.client.create(part("a", "p", 2, of=2))
            await w.client.create(request())
            await w.until(lambda: w.list(ResourcePoolStatusRequest))
            await w.quiet(30.0)
            (found,) = w.list(ResourcePoolStatusRequest)
            assert found.status is None
            await w.client.create(part("b", "p", 1, of=2))
            await w.until(lambda: w.list(ResourcePoolStatusRequest)[0].status is not None)
            (found,) = w.list(ResourcePoolStatusRequest)
            assert found.status.pools[0].totalDevices == 3
            await w.quiet(3500.0)
            assert w.list(ResourcePoolStatusRequest)
            await w.until(lambda: not w.list(ResourcePoolStatusRequest), 200.0)

    virtual.run(story)


def test_one_without_an_answer_stays_a_day() -> None:
    async def story(env: Env) -> None:
        async with world(env) as w:
            await w.client.create(part("a", "p", 2, of=2))
            await w.client.create(request())
            await w.until(lambda: w.list(ResourcePoolStatusRequest))
            await env.clock.sleep(24 * 3600 - 100.0)
            assert w.list(ResourcePoolStatusRequest)
            await env.clock.sleep(200.0)
            assert not w.list(ResourcePoolStatusRequest)

    virtual.run(story)
