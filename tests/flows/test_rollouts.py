"""Stories of a Deployment: an update that nobody notices, one that does not work, the way back."""

from __future__ import annotations

from typing import Any

from tests.flows import screen
from trireme.api.apps import v1 as apps
from trireme.api.core import v1 as core
from trireme.testing import virtual
from trireme.testing.fake_cri import Behaviour

REVISION = "deployment.kubernetes.io/revision"


async def started(s: screen.Screen, **options: Any) -> None:
    await s.client.create(screen.deployment(**options))
    await s.client.create(screen.service())
    await s.until(lambda: s.rolled_out() and len(s.addresses()) == s.deployment().spec.replicas)


@virtual.test(seed=1)
async def test_a_rolling_update_keeps_the_service_up(env):
    async with screen.watched(env) as s:
        await started(s, replicas=4)
        least, most = 4, 4
        await s.image("web:v2")
        while not s.rolled_out():
            least = min(least, len(s.addresses()))
            most = max(most, len(s.pods()))
            await env.clock.sleep(0.05)
        assert least >= 3 and most <= 5
        assert {pod.spec.containers[0].image for pod in s.pods()} == {"web:v2"}
        old, new = sorted(s.list(apps.ReplicaSet), key=lambda r: r.metadata.annotations[REVISION])
        assert (old.spec.replicas, new.spec.replicas) == (0, 4)
        assert s.deployment().metadata.annotations[REVISION] == "2"


@virtual.test(seed=2)
async def test_an_update_that_does_not_work_stops_and_is_taken_back(env):
    def behave(container, _sandbox):
        broken = container.image.user_specified_image == "web:broken"
        return Behaviour(start_error="exec: no such file") if broken else None

    async with screen.watched(env, behave=behave) as s:
        await started(s, progressDeadlineSeconds=60)
        before = {pod.metadata.name for pod in s.pods()}
        await s.image("web:broken")
        conditions = await s.condition("Progressing", "ProgressDeadlineExceeded")
        assert conditions.status == "False"
        # No pod that worked was given up for one that does not.
        assert len(s.addresses()) == 3
        assert before <= {pod.metadata.name for pod in s.pods()}
        # kubectl rollout undo: the old template again.
        await s.image("web:v1")
        await s.until(s.rolled_out)
        assert {pod.metadata.name for pod in s.pods()} == before
        (first,) = [r for r in s.list(apps.ReplicaSet) if r.spec.replicas]
        assert first.metadata.annotations[REVISION] == "3"
        assert first.metadata.annotations["deployment.kubernetes.io/revision-history"] == "1"


@virtual.test(seed=3)
async def test_recreate_never_runs_two_versions(env):
    async with screen.watched(env) as s:
        await started(s, strategy={"type": "Recreate"})
        await s.image("web:v2")
        while not s.rolled_out():
            images = {
                pod.spec.containers[0].image
                for pod in s.list(core.Pod)
                if pod.metadata.labels.get("app") == "web"
            }
            assert len(images) <= 1
            await env.clock.sleep(0.05)
        assert {pod.spec.containers[0].image for pod in s.pods()} == {"web:v2"}


@virtual.test(seed=4)
async def test_a_pause_holds_the_rollout_but_not_the_scale(env):
    async with screen.watched(env) as s:
        await started(s)
        await s.client.patch(apps.Deployment, "web", "default", {"spec": {"paused": True}})
        await s.condition("Progressing", "DeploymentPaused")
        await s.image("web:v2")
        await s.client.patch(apps.Deployment, "web", "default", {"spec": {"replicas": 5}})
        await s.until(lambda: len(s.addresses()) == 5)
        await env.clock.sleep(30)
        assert {pod.spec.containers[0].image for pod in s.pods()} == {"web:v1"}
        await s.client.patch(apps.Deployment, "web", "default", {"spec": {"paused": False}})
        await s.until(
            lambda: (
                s.rolled_out() and {pod.spec.containers[0].image for pod in s.pods()} == {"web:v2"}
            )
        )


@virtual.test(seed=5)
async def test_history_is_kept_as_long_as_it_is_wanted(env):
    async with screen.watched(env) as s:
        await started(s, replicas=1, revisionHistoryLimit=2)
        for version in range(2, 7):
            await s.image(f"web:v{version}")
            await s.until(s.rolled_out)
        await env.clock.sleep(5)
        revisions = sorted(r.metadata.annotations[REVISION] for r in s.list(apps.ReplicaSet))
        assert revisions == ["4", "5", "6"]


def history(seed: int) -> list[str]:
    async def story(env) -> list[str]:
        async with screen.watched(env) as s:
            await started(s)
            await s.image("web:v2")
            await s.until(s.rolled_out)
            await s.cluster.stop("node-0")
            await env.clock.sleep(400)
            return s.history

    return virtual.run(story, seed=seed)


def test_the_same_seed_tells_the_same_story():
    first, second = history(7), history(7)
    assert first == second
    assert first != history(8)
