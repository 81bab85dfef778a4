"""Which APIServices there are: built in, of custom kinds, of other servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.apiserver.conftest import Asker
from tests.apiserver.crd.conftest import CRDS, definition

from trireme.api.apiregistration.v1.apiservice import APIService, APIServiceSpec
from trireme.apiserver.aggregate import plan, register
from trireme.apiserver.aggregate.plan import Step
from trireme.apiserver.server import ApiServer
from trireme.kit.env import Env
from trireme.machinery.meta import ObjectMeta
from trireme.testing import control_plane, virtual

ALL = "/apis/apiregistration.k8s.io/v1/apiservices"


def service(managed: str | None, priority: int = 1000) -> APIService:
    labels = {} if managed is None else {plan.LABEL: managed}
    spec = APIServiceSpec(
        group="g", version="v1", groupPriorityMinimum=priority, versionPriority=100
    )
    return APIService(metadata=ObjectMeta(name="v1.g", labels=labels), spec=spec)


DESIRED = service("true")
STEPS: list[tuple[str, APIService | None, APIService | None, Step, Step]] = [
    ("nothing of nothing", None, None, Step.NOTHING, Step.NOTHING),
    ("missing", None, DESIRED, Step.CREATE, Step.CREATE),
    ("as it should be", service("true"), DESIRED, Step.NOTHING, Step.NOTHING),
    ("changed", service("true", 7), DESIRED, Step.UPDATE, Step.UPDATE),
    ("others' own", service(None, 7), DESIRED, Step.NOTHING, Step.NOTHING),
    ("others' own, not desired", service(None), None, Step.NOTHING, Step.NOTHING),
    # A version that was built in, and one whose definition may be looked at later.
    ("no longer built in", service("onstart"), None, Step.DELETE, Step.NOTHING),
    ("no longer defined", service("true"), None, Step.NOTHING, Step.DELETE),
    ("built in, changed", service("onstart", 7), DESIRED, Step.UPDATE, Step.NOTHING),
]


@pytest.mark.parametrize(
    ("current", "expected", "at_start", "later"),
    [case[1:] for case in STEPS],
    ids=[case[0] for case in STEPS],
)
def test_steps(
    current: APIService | None, expected: APIService | None, at_start: Step, later: Step
) -> None:
    assert plan.at_start(current, expected) is at_start
    assert plan.later(current, expected) is later


def test_priorities_of_what_is_built_in() -> None:
    found = plan.built_in([("", "v1"), ("autoscaling", "v2"), ("apiregistration.k8s.io", "v1")])
    got = [(obj.metadata.name, obj.spec.groupPriorityMinimum) for obj in found]
    assert got == [("v1.", 18000), ("v2.autoscaling", 17500)]
    assert found[1].spec.versionPriority == 30


def names(server: ApiServer) -> set[str]:
    return {obj.metadata.name for obj in server.context.reader.list(APIService)}


async def test_every_version_has_one_that_is_available() -> None:
    async with control_plane.api_server() as server:
        served = {(item.group, item.version) for item in server.context.served.resources}
        expected = {plan.name(*each) for each in served if each[0] != "apiregistration.k8s.io"}
        assert names(server) == expected
        for obj in server.context.reader.list(APIService):
            [condition] = obj.status.conditions
            assert (condition.type, condition.status, condition.reason) == (
                "Available",
                "True",
                "Local",
            )
        revision = server.context.store.revision
        await register.start(server.context)
        assert server.context.store.revision == revision


@virtual.test()
async def test_a_definition_has_one_as_long_as_it_serves(env: Env) -> None:
    async with asked(env, post_start_hooks=True) as ask:
        server, name = ask.server, "v1.example.com"
        await ask.must("POST", CRDS, definition())
        await env.clock.sleep(1)
        found = await ask.must("GET", f"{ALL}/{name}")
        assert found["metadata"]["labels"] == {plan.LABEL: "true"}
        assert (found["spec"]["groupPriorityMinimum"], found["spec"]["versionPriority"]) == (
            1000,
            100,
        )
        # What people change or take away comes back.
        found["spec"]["versionPriority"] = 5
        await ask.must("PUT", f"{ALL}/{name}", found)
        await env.clock.sleep(1)
        assert (await ask.must("GET", f"{ALL}/{name}"))["spec"]["versionPriority"] == 100
        await ask.must("DELETE", f"{ALL}/{name}")
        await env.clock.sleep(1)
        assert name in names(server)
        # A second definition of the version keeps it when the first one goes.
        await ask.must("POST", CRDS, definition("gadgets", "Gadget"))
        await ask.must("DELETE", f"{CRDS}/widgets.example.com")
        await env.clock.sleep(1)
        assert name in names(server)
        await ask.must("DELETE", f"{CRDS}/gadgets.example.com")
        await env.clock.sleep(1)
        assert name not in names(server)


@virtual.test()
async def test_what_is_built_in_is_registered_once(env: Env) -> None:
    async with asked(env, post_start_hooks=True) as ask:
        await ask.must("DELETE", f"{ALL}/v1.apps")
        await env.clock.sleep(60)
        assert "v1.apps" not in names(ask.server)
        await register.start(ask.server.context)
        assert "v1.apps" in names(ask.server)


def manifest(group: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {"group": group, "version": "v1", **spec},
    }


@asynccontextmanager
async def asked(env: Env | None = None, **config: Any) -> AsyncIterator[Asker]:
    async with control_plane.api_server(env, **config) as server:
        yield Asker(server)
