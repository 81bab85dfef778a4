"""The manager: who leads, what a restart writes, and that every controller may do what it does."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.controllers import harness
from trireme import controllers
from trireme.api.apps.v1.deployment import Deployment
from trireme.apiserver.bootstrap import policy
from trireme.client.transport import Response, Transport
from trireme.controllers import manager
from trireme.controllers.definition import Definition
from trireme.controllers.settings import Settings
from trireme.kit import catalog
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.runtime.informer import LISTS
from trireme.testing import virtual
from trireme.testing.transports import PassThrough


def config(w: harness.World, **options: Any) -> manager.ManagerConfig:
    return manager.ManagerConfig(
        client=w.manager_client(),
        client_for=w.client_for,
        settings=Settings(root_ca="PEM"),
        **options,
    )


def test_each_controller_has_the_role_that_is_made_for_it():
    found: list[Any] = [*policy.cluster_roles(lambda gate: True), *policy.roles()]
    roles = {role.metadata.name for role in found}
    assert {f"system:controller:{name}" for name in manager.identities()} <= roles


def test_one_file_is_one_reconciler():
    for module in catalog.modules(controllers):
        found = [value for value in vars(module).values() if isinstance(value, Definition)]
        assert len(found) <= 1, module.__name__
        assert bool(found) == ("\nCONTROLLER = " in Path(module.__file__ or "").read_text())


@virtual.test()
async def test_controllers_that_start_anew_write_nothing(env):
    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        await w.until(lambda: w.find(Deployment, "web") is not None)
        await w.until(lambda: w.get(Deployment, "web").status.availableReplicas == 3)
        await w.quiet(10)
        w.controllers.cancel()
        await asyncio.wait({w.controllers})
        before = dict(w.writes)
        again = asyncio.ensure_future(manager.run(config(w), env))
        await env.clock.sleep(200)
        assert w.writes == before
        again.cancel()


@virtual.test()
async def test_of_two_managers_one_works_and_the_other_takes_over(env):
    async with harness.world(env, controllers=()) as w:
        first = asyncio.ensure_future(manager.run(config(w, candidate="one"), env))
        await env.clock.sleep(5)
        second = asyncio.ensure_future(manager.run(config(w, candidate="two"), env))
        await w.client.create(harness.deployment())
        await w.until(lambda: len(w.pods(app="web")) == 3)
        first.cancel()
        await asyncio.wait({first})
        await w.client.patch(Deployment, "web", "default", {"spec": {"replicas": 5}})
        # Given up by the first, so it is not waited for.
        assert await w.until(lambda: len(w.pods(app="web")) == 5) < 6
        second.cancel()


@virtual.test()
async def test_a_controller_that_is_not_known_is_refused_by_name(env):
    async with harness.world(env) as w:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(manager.run(config(w, controllers=["*", "-typo"]), env))
        assert '"typo" is not in the list of known controllers' in str(caught.value.exceptions[0])


@virtual.test()
async def test_a_controller_may_do_its_own_work_only(env):
    async with harness.world(env) as w:
        with pytest.raises(errors.ApiError) as caught:
            await w.client_for("endpoint-controller").create(harness.deployment())
        assert errors.is_forbidden(caught.value)


class _Slow(PassThrough):
    """A transport whose answers take 0.1 s; how many lists, and requests, were under way at most.

    All users of the manager share ``counts``."""

    def __init__(self, inner: Transport, env: Env, counts: Counter[str]) -> None:
        super().__init__(inner)
        self._env = env
        self._counts = counts

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        kinds = ("lists", "requests") if "limit=" in query else ("requests",)
        counts = self._counts
        for kind in kinds:
            counts[kind] += 1
            counts[f"most {kind}"] = max(counts[f"most {kind}"], counts[kind])
        await self._env.clock.sleep(0.1)
        counts.subtract(kinds)
        return await super().request(method, path, query, headers, body)


@virtual.test()
async def test_a_start_is_no_stampede(env):
    counts: Counter[str] = Counter()
    through = functools.partial(_Slow, env=env, counts=counts)
    async with harness.world(env, plays="", through=through) as w:
        await w.quiet(30)
    assert counts["most lists"] == LISTS
    # Beside the lists: the first looks at what every cluster has.
    assert counts["most requests"] <= 20, counts


@virtual.test()
async def test_controllers_start_spread_over_the_interval(env):
    async with harness.world(env, plays="", controllers=("serviceaccount-controller",)) as w:
        names = ["deployment-controller", "replicaset-controller"]
        spread = config(w, controllers=names, start_interval=100.0)
        running = asyncio.ensure_future(manager.run(spread, env))
        await w.client.create(harness.deployment())
        took = await w.until(lambda: len(w.pods(app="web")) == 3, 250.0)
        assert 100.0 <= took <= 200.0
        running.cancel()


def test_events_name_the_component_that_upstreams_do():
    """Where it is not the service account: what people and tools filter events by."""
    components = {item.account: item.component for item in manager.definitions() if item.component}
    assert components == {
        "daemon-set-controller": "daemonset-controller",
        "disruption-controller": "controllermanager",
        "endpointslice-controller": "endpoint-slice-controller",
        "endpointslicemirroring-controller": "endpoint-slice-mirroring-controller",
        "ephemeral-volume-controller": "ephemeral_volume",
        "expand-controller": "volume_expand",
        "generic-garbage-collector": "garbage-collector-controller",
        "node-controller": "taint-eviction-controller",
        "persistent-volume-binder": "persistentvolume-controller",
        "resource-claim-controller": "resource_claim",
        "selinux-warning-controller": "selinux_warning",
    }
