"""Disruption budgets: their status, and that evictions keep to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.autoscaling.v1.scale import Scale
from trireme.api.core import v1 as core
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.controllers.disruption import plan_budget
from trireme.controllers.scales import NotServed, Scales
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.machinery.status import Status
from trireme.testing import virtual


def budget(**spec: Any) -> PodDisruptionBudget:
    selector = {"matchLabels": {"app": "web"}}
    body = {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": selector, **spec},
    }
    return msgspec.convert(body, PodDisruptionBudget)


async def status(world: harness.World) -> Any:
    return (await world.client.get(PodDisruptionBudget, "b", "default")).status


def counts(found: Any) -> tuple[int, int, int, int]:
    """Expected, healthy, desired, allowed."""
    return (
        found.expectedPods, found.currentHealthy, found.desiredHealthy, found.disruptionsAllowed,
    )  # fmt: skip


async def evict(world: harness.World, name: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    client = world.client
    await client.create_subresource(core.Pod, name, "default", "eviction", body, Status)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 3}, (5, 5, 3, 2)),
        ({"minAvailable": "50%"}, (5, 5, 3, 2)),
        ({"maxUnavailable": 1}, (5, 5, 4, 1)),
        ({"maxUnavailable": "30%"}, (5, 5, 3, 2)),
        ({"minAvailable": 9}, (5, 5, 9, 0)),
        ({"maxUnavailable": 9}, (5, 5, 0, 5)),
    ],
)
def test_bounds(spec: dict[str, Any], expected: tuple[int, int, int, int]) -> None:
    async def story(env: Env) -> None:
        async with harness.world(env) as world:
            await world.client.create(harness.deployment(replicas=5))
            await world.client.create(budget(**spec))
            await env.clock.sleep(10)
            found = await status(world)
            assert counts(found) == expected
            [condition] = found.conditions
            allowed = expected[3] > 0
            assert (condition.type, condition.status, condition.reason) == (
                "DisruptionAllowed",
                "True" if allowed else "False",
                "SufficientPods" if allowed else "InsufficientPods",
            )
            assert found.observedGeneration == 1
            assert not await world.quiet()

    virtual.run(story)


@virtual.test()
async def test_evictions_keep_to_the_budget(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(harness.deployment(replicas=3))
        await world.client.create(budget(maxUnavailable=1))
        await env.clock.sleep(10)
        first, second, _ = (pod.metadata.name for pod in world.pods())
        await evict(world, first)
        with pytest.raises(errors.ApiError, match="disruption budget"):
            await evict(world, second)
        # Once another one is ready in its place, the next may go.
        await env.clock.sleep(10)
        assert counts(await status(world)) == (3, 3, 2, 1)
        assert (await status(world)).disruptedPods == {}
        await evict(world, second)


@virtual.test()
async def test_an_evicted_pod_that_stays_counts_again_after_two_minutes(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(harness.deployment(replicas=3))
        await world.client.create(budget(maxUnavailable=1))
        await env.clock.sleep(10)
        name = world.pods()[0].metadata.name
        found = await world.client.get(PodDisruptionBudget, "b", "default")
        # As the API server has it between the count and the deletion.
        now = found.metadata.creationTimestamp
        assert now is not None
        found.status.disruptedPods, found.status.disruptionsAllowed = {name: now}, 0
        await world.client.update_status(found)
        await env.clock.sleep(30)
        assert counts(await status(world)) == (3, 2, 2, 0)
        await env.clock.sleep(100)
        assert counts(await status(world)) == (3, 3, 2, 1)
        assert "NotDeleted" in world.reasons(name)


@virtual.test()
async def test_pods_without_a_controller(env: Env) -> None:
    async with harness.world(env) as world:
        container = core.Container(name="c", image="i")
        pod = core.Pod(
            metadata=meta.ObjectMeta(name="p", namespace="default", labels={"app": "web"}),
            spec=core.PodSpec(containers=[container]),
        )
        await world.client.create(pod)
        await world.client.create(budget(maxUnavailable=1))
        await env.clock.sleep(5)
        assert counts(await status(world)) == (0, 1, 0, 0)
        [message] = {text for text in world.messages("b") if "unmanaged" in text}
        assert "&LabelSelector{MatchLabels:map[string]string{app: web,}," in message
        await world.client.patch(
            PodDisruptionBudget, "b", "default",
            {"spec": {"maxUnavailable": None, "minAvailable": 1}},
        )  # fmt: skip
        await env.clock.sleep(5)
        assert counts(await status(world)) == (1, 1, 1, 0)


@virtual.test()
async def test_a_controller_that_cannot_be_scaled(env: Env) -> None:
    async with harness.world(env) as world:
        owner = meta.OwnerReference(
            apiVersion="v1", kind="ConfigMap", name="m", uid="u", controller=True
        )
        config = core.ConfigMap(metadata=meta.ObjectMeta(name="m", namespace="default"))
        owner.uid = (await world.client.create(config)).metadata.uid
        pod = core.Pod(
            metadata=meta.ObjectMeta(
                name="p", namespace="default", labels={"app": "web"}, ownerReferences=[owner]
            ),
            spec=core.PodSpec(containers=[core.Container(name="c", image="i")]),
        )
        await world.client.create(pod)
        await world.client.create(budget(maxUnavailable=1))
        await env.clock.sleep(5)
        found = await status(world)
        [condition] = found.conditions
        assert (condition.status, condition.reason, condition.message) == (
            "False",
            "SyncFailed",
            "configmaps does not implement the scale subresource",
        )
        assert "CalculateExpectedPodCountFailed" in world.reasons("b")


@virtual.test()
async def test_a_disruption_that_did_not_come_is_taken_back(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(harness.deployment(replicas=1))
        await env.clock.sleep(5)
        [pod] = world.pods()
        pod = await world.client.get(core.Pod, pod.metadata.name, "default")
        since = pod.metadata.creationTimestamp
        target = core.PodCondition(
            type="DisruptionTarget", status="True", reason="x", lastTransitionTime=since
        )
        pod.status.conditions = [*pod.status.conditions, target]
        await world.client.update_status(pod)
        for wait, value in ((100, "True"), (30, "False")):
            await env.clock.sleep(wait)
            pod = await world.client.get(core.Pod, pod.metadata.name, "default")
            found = next(c for c in pod.status.conditions if c.type == "DisruptionTarget")
            assert found.status == value
        assert found.reason == ""


@virtual.test()
async def test_scales_of_any_kind(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(harness.deployment(replicas=3))
        scales = Scales(world.client, env)
        found: Scale = await scales.get("apps/v1", "Deployment", "default", "web")
        assert found.spec.replicas == 3
        found.spec.replicas = 4
        await scales.update("apps/v1", "Deployment", "default", "web", found)
        assert (await scales.get("apps/v1beta9", "Deployment", "default", "web")).spec.replicas == 4
        with pytest.raises(NotServed, match='no matches for kind "Nothing"'):
            await scales.get("apps/v1", "Nothing", "default", "web")


def test_no_bound_wants_nothing() -> None:
    assert plan_budget.desired_healthy(budget(), 5) == 0
    assert not plan_budget.needs_scale(budget(minAvailable=1))
    with pytest.raises(ValueError, match="not a percentage"):
        plan_budget.desired_healthy(budget(maxUnavailable="x"), 5)
