"""Load balancers of Services: events, failures, nodes."""

from __future__ import annotations

import itertools

import pytest

from tests.controllers import harness
from tests.controllers.cases.service_lb import cloud, manifest
from trireme.api.core import v1 as core
from trireme.cloud import contract
from trireme.cloud.service import plan_service as plan
from trireme.machinery.meta import ObjectMeta
from trireme.testing import virtual

ONLY = ("service-lb-controller",)


def has_address(w: harness.World) -> bool:
    service = w.find(core.Service, "web")
    return service is not None and bool(service.status.loadBalancer.ingress)


def node(name: str, **labels: str) -> core.Node:
    keyed = {key.replace("__", "/").replace("_", "."): value for key, value in labels.items()}
    return core.Node(metadata=ObjectMeta(name=name, labels=keyed))


@pytest.mark.parametrize(
    ("value", "included"),
    [("", False), ("true", False), ("False", True), ("0", True), ("no", False)],
)
def test_excluded_nodes(value, included):
    made = core.Node(metadata=ObjectMeta(name="a", labels={plan.EXCLUDED: value}))
    assert plan.is_included(made) is included
    assert plan.balanced_nodes([made]) == ([made] if included else [])


def test_nodes_that_go_take_no_traffic():
    ready, going, doomed = node("c"), node("b"), node("a")
    going.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    doomed.spec.taints = [core.Taint(key="ToBeDeletedByClusterAutoscaler", effect="NoSchedule")]
    assert plan.balanced_nodes([ready, going, doomed]) == [ready]


def test_names_in_an_event_are_bounded():
    many = [node(f"n{number:02}") for number in range(22)]
    text = plan.names_for_event(many)
    assert text.startswith("[n00 n01 ") and text.endswith(" n19 <2 more>]")


@virtual.test()
async def test_events_of_a_life(env):
    async with harness.world(env, plays="", cloud=cloud, controllers=ONLY) as w:
        await w.node("node-0")
        await w.client.create(manifest("web"))
        await w.until(lambda: "EnsuredLoadBalancer" in w.reasons("web"))
        await w.node("node-9")
        await w.until(lambda: "UpdatedLoadBalancer" in w.reasons("web"))
        await w.client.delete(core.Service, "web", "default")
        await w.until(lambda: "DeletedLoadBalancer" in w.reasons("web"))
        assert w.reasons("web") == [
            "EnsuringLoadBalancer",
            "EnsuredLoadBalancer",
            "UpdatedLoadBalancer",
            "DeletingLoadBalancer",
            "DeletedLoadBalancer",
        ]
        assert {one.source.component for one in w.events("web")} == {"service-controller"}
        assert w.cloud.calls == [("ensure", "web"), ("update", "web"), ("delete", "web")]


@virtual.test()
async def test_without_nodes_it_says_so(env):
    async with harness.world(env, plays="", cloud=cloud, controllers=ONLY) as w:
        await w.client.create(manifest("web"))
        await w.until(lambda: "EnsuredLoadBalancer" in w.reasons("web"))
        assert "UnAvailableLoadBalancer" in w.reasons("web")
        assert "There are no available nodes for LoadBalancer" in w.messages("web")


@virtual.test()
async def test_a_failure_is_retried_after_five_seconds_then_ten(env, caplog):
    times: list[float] = []

    def fail(call: str, about: str) -> None:
        times.append(env.clock.monotonic())
        if len(times) < 4:
            raise OSError("no more addresses")

    async with harness.world(env, plays="node-0", cloud=cloud, controllers=ONLY) as w:
        w.cloud.failures = fail
        await w.client.create(manifest("web"))
        await w.until(lambda: has_address(w), 60.0)
        assert [round(b - a) for a, b in itertools.pairwise(times)] == [5, 10, 20]
        text = "Error syncing load balancer: failed to ensure load balancer: no more addresses"
        assert text in w.messages("web")
        assert not [one for one in caplog.records if one.exc_info], "no traceback for it"
        warning = next(e for e in w.events("web") if e.reason == "SyncLoadBalancerFailed")
        assert warning.type == "Warning"


@virtual.test()
async def test_a_provider_says_when_to_come_again(env):
    def fail(call: str, about: str) -> None:
        if len(w.cloud.calls) == 1:
            raise contract.RetryAfter("still being made", 42.0)

    async with harness.world(env, plays="node-0", cloud=cloud, controllers=ONLY) as w:
        w.cloud.failures = fail
        await w.client.create(manifest("web"))
        took = await w.until(lambda: has_address(w), 60.0)
        assert 41.0 < took < 44.0


@virtual.test()
async def test_what_another_controller_does_is_left_alone(env):
    def elsewhere(call: str, about: str) -> None:
        raise contract.ImplementedElsewhere

    async with harness.world(env, plays="node-0", cloud=cloud, controllers=ONLY) as w:
        w.cloud.failures = elsewhere
        await w.client.create(manifest("web"))
        await env.clock.sleep(400.0)
        assert w.cloud.calls == [("ensure", "web")]
        assert "SyncLoadBalancerFailed" not in w.reasons("web")
        await w.client.delete(core.Service, "web", "default")
        await w.until(lambda: w.find(core.Service, "web") is None)


@virtual.test()
async def test_a_failed_update_is_made_anew(env):
    def fail(call: str, about: str) -> None:
        if call == "update":
            raise OSError("busy")

    async with harness.world(env, plays="", cloud=cloud, controllers=ONLY) as w:
        w.cloud.failures = fail
        await w.client.create(manifest("web"))
        await w.until(lambda: has_address(w))
        await w.node("node-9")
        await w.until(lambda: "UpdateLoadBalancerFailed" in w.reasons("web"))
        text = (
            "Error updating load balancer with new hosts [node-9] "
            "[node names limited, total number of nodes: 1], error: busy"
        )
        assert text in w.messages("web")
        await w.until(lambda: w.cloud.calls[-1] == ("ensure", "web"), 10.0)
        (made,) = w.cloud.balancers.values()
        assert made.nodes == ["node-9"]


@virtual.test()
async def test_a_balancer_without_its_finalizer_goes_with_its_service(env):
    async with harness.world(env, plays="", cloud=cloud, controllers=ONLY) as w:
        await w.client.create(manifest("web"))
        await w.until(lambda: has_address(w))
        uid = w.get(core.Service, "web").metadata.uid
        change = [{"op": "remove", "path": "/metadata/finalizers"}]
        await w.until(lambda: has_address(w) and w.get(core.Service, "web").metadata.finalizers)
        await w.client.patch(core.Service, "web", "default", change, "json")
        await w.client.delete(core.Service, "web", "default")
        await w.client.create(manifest("web"))
        await w.until(lambda: uid not in w.cloud.balancers and w.cloud.balancers)
