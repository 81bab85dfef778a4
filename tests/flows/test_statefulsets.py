"""Stories of a StatefulSet on real nodes: its order, its updates, its history."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.flows import screen
from trireme.api.apps import v1 as apps
from trireme.api.core import v1 as core
from trireme.domain import pods
from trireme.testing import virtual
from trireme.testing.fake_cri import Behaviour


def stateful_set(replicas: int = 3, image: str = "db:v1", **spec: Any) -> apps.StatefulSet:
    labels = {"app": "db"}
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": "100m"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return msgspec.convert(
        {
            "metadata": {"name": "db", "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "serviceName": "db",
                "selector": {"matchLabels": labels},
                "template": template,
                **spec,
            },
        },
        apps.StatefulSet,
    )


def images(s: screen.Screen) -> dict[str, str]:
    return {pod.metadata.name: pod.spec.containers[0].image for pod in s.pods("db")}


def is_up(s: screen.Screen, replicas: int, image: str | None = None) -> bool:
    ready = [pod for pod in s.pods("db") if pods.is_ready(pod)]
    found = s.find(apps.StatefulSet, "db")
    return (
        found is not None
        and len(ready) == len(images(s)) == found.status.availableReplicas == replicas
        and (image is None or set(images(s).values()) == {image})
    )


async def update(s: screen.Screen, spec: dict[str, Any]) -> None:
    await s.client.patch(apps.StatefulSet, "db", "default", {"spec": spec}, "strategic")


def template(image: str) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}


@virtual.test(seed=1)
async def test_pods_come_one_after_the_other_and_go_the_other_way(env):
    async with screen.watched(env) as s:
        began: list[str] = []
        s.informers.of(core.Pod).add_handler(
            lambda e: began.append(f"{e.type} {e.key.name}") if e.type != "MODIFIED" else None
        )
        await s.client.create(stateful_set())
        await s.until(lambda: is_up(s, 3))
        await update(s, {"replicas": 0})
        await s.until(lambda: not s.list(core.Pod))
        assert began == [
            "ADDED db-0",
            "ADDED db-1",
            "ADDED db-2",
            "DELETED db-2",
            "DELETED db-1",
            "DELETED db-0",
        ]
        assert s.reasons("db") == ["SuccessfulCreate"] * 3 + ["SuccessfulDelete"] * 3


@virtual.test(seed=2)
async def test_a_partition_holds_an_update_and_a_rollback_takes_it_back(env):
    async with screen.watched(env) as s:
        await s.client.create(stateful_set())
        await s.until(lambda: is_up(s, 3))
        first = s.find(apps.StatefulSet, "db").status.currentRevision
        rolling = {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
        await update(s, {**template("db:v2"), **rolling})
        await s.until(lambda: images(s).get("db-2") == "db:v2" and is_up(s, 3))
        await s.cluster.advance(60)
        assert images(s) == {"db-0": "db:v1", "db-1": "db:v1", "db-2": "db:v2"}
        status = s.find(apps.StatefulSet, "db").status
        assert (status.currentReplicas, status.updatedReplicas) == (2, 1)
        assert status.currentRevision == first != status.updateRevision
        # A pod below the partition comes back as it was.
        await s.client.delete(core.Pod, "db-0", "default")
        await s.cluster.advance(30)
        await s.until(lambda: is_up(s, 3))
        assert images(s)["db-0"] == "db:v1"
        # kubectl rollout undo: the data of the first revision is a patch.
        revision = s.find(apps.ControllerRevision, first)
        await s.client.patch(apps.StatefulSet, "db", "default", revision.data, "strategic")
        await s.until(lambda: is_up(s, 3, "db:v1"))
        await s.until(lambda: s.find(apps.StatefulSet, "db").status.updateRevision == first)
        numbers = {r.metadata.name: r.revision for r in s.list(apps.ControllerRevision)}
        assert numbers[first] == 3 and len(numbers) == 2


@virtual.test(seed=3)
async def test_an_update_that_does_not_work_stops_at_the_first_pod(env):
    def behave(container, _sandbox):
        broken = container.image.user_specified_image == "db:broken"
        return Behaviour(start_error="exec: no such file") if broken else None

    async with screen.watched(env, behave=behave) as s:
        await s.client.create(stateful_set())
        await s.until(lambda: is_up(s, 3))
        await update(s, template("db:broken"))
        await s.cluster.advance(300)
        assert images(s) == {"db-0": "db:v1", "db-1": "db:v1", "db-2": "db:broken"}
        # As upstream: the broken pod has to be deleted by hand.
        await update(s, template("db:v3"))
        await s.client.delete(core.Pod, "db-2", "default")
        await s.until(lambda: is_up(s, 3, "db:v3"))


@virtual.test(seed=4)
async def test_on_delete_waits_for_somebody(env):
    async with screen.watched(env) as s:
        await s.client.create(stateful_set(updateStrategy={"type": "OnDelete"}))
        await s.until(lambda: is_up(s, 3))
        await update(s, template("db:v2"))
        await s.cluster.advance(60)
        assert set(images(s).values()) == {"db:v1"}
        await s.client.delete(core.Pod, "db-1", "default")
        await s.cluster.advance(60)
        assert images(s) == {"db-0": "db:v1", "db-1": "db:v2", "db-2": "db:v1"}


@virtual.test(seed=5)
async def test_history_is_kept_as_long_as_it_should_be(env):
    async with screen.watched(env) as s:
        await s.client.create(stateful_set(1, revisionHistoryLimit=2))
        await s.until(lambda: is_up(s, 1))
        for number in range(2, 7):
            await update(s, template(f"db:v{number}"))
            await s.until(lambda n=number: is_up(s, 1, f"db:v{n}"))
        await s.cluster.advance(10)
        assert sorted(r.revision for r in s.list(apps.ControllerRevision)) == [4, 5, 6]


@virtual.test(seed=6)
async def test_parallel_pods_do_not_wait_and_ordinals_start_where_they_should(env):
    async with screen.watched(env) as s:
        found = stateful_set(podManagementPolicy="Parallel", ordinals={"start": 5})
        await s.client.create(found)
        await s.until(lambda: len(images(s)) == 3, 2.0)
        await s.until(lambda: is_up(s, 3))
        assert sorted(images(s)) == ["db-5", "db-6", "db-7"]


@virtual.test(seed=7)
async def test_ready_pods_count_as_available_after_their_time(env):
    async with screen.watched(env) as s:
        await s.client.create(stateful_set(2, minReadySeconds=30))
        took = await s.until(lambda: is_up(s, 2))
        assert 59 < took < 70


@virtual.test(seed=8)
async def test_a_pod_on_a_dead_node_is_not_made_twice(env):
    async with screen.watched(env) as s:
        await s.client.create(stateful_set(2))
        await s.until(lambda: is_up(s, 2))
        node = s.find(core.Pod, "db-0").spec.nodeName
        before = s.find(core.Pod, "db-0").metadata.uid
        await s.cluster.stop(node)
        await s.cluster.advance(1200)
        # It may still run: its name is not free before somebody says that it does not.
        assert s.find(core.Pod, "db-0").metadata.uid == before
        await s.client.delete(core.Node, node)
        await s.until(lambda: is_up(s, 2), 300.0)
        assert s.find(core.Pod, "db-0").metadata.uid != before
