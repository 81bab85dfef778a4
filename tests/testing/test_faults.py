"""Faults by rule: what clients and components make of them."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.core import v1 as core
from trireme.client.transport import Unreachable
from trireme.machinery import errors
from trireme.testing import Cluster, SyncCluster, run


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(replicas: int) -> dict[str, Any]:
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "web:1"}]},
            },
        },
    }


@pytest.fixture(scope="module")
def made():
    with SyncCluster(nodes=2) as made:
        yield made


@pytest.fixture
def it(made):
    made.faults.clear()
    fork = made.fork()
    yield fork
    fork.faults.clear()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (409, "Conflict"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (504, "Timeout"),
    ],
)
def test_an_error_as_often_as_asked(it, code, reason):
    rule = it.faults.error(code, times=2, verb="create", resource="configmaps")
    for _ in range(2):
        with pytest.raises(errors.ApiError, match="injected by the test") as refused:
            it.create(config_map("a"))
        assert (refused.value.code, refused.value.reason) == (code, reason)
    it.create(config_map("a"))
    assert rule.hits == 2 and it.faults.rules == []


def test_only_whom_and_what_it_is_about(it):
    it.faults.error(
        500, times=None, user="alice", resource="secrets", namespace="kube-*", name="x*"
    )
    it.create(config_map("a"))
    with pytest.raises(TypeError, match="unknown: usr; known are user, user_agent, verb"):
        it.faults.error(500, usr="alice")
    rule = it.faults.error(403, times=None, verb="write", name="a")
    assert it.get("cm", "a")
    for refused in (
        lambda: it.delete("cm", "a"),
        lambda: it.patch("cm", "a", {"data": {"x": "1"}}),
    ):
        with pytest.raises(errors.ApiError):
            refused()
    rule.remove()
    it.delete("cm", "a")


def test_a_lost_response_after_the_commit(it):
    it.faults.lost_response(verb="create", resource="configmaps")
    with pytest.raises(Unreachable, match="the connection broke"):
        it.create(config_map("a"))
    assert it.get("cm", "a")
    with pytest.raises(errors.ApiError, match="already exists"):
        it.create(config_map("a"))


def test_late_answers(it):
    before = it.now
    it.faults.delay(7, verb="list", resource="configmaps", times=1)
    it.list("cm", "default")
    assert it.now == before + 7
    it.list("cm", "default")
    assert it.now == before + 7


def test_reads_of_what_was(it):
    it.create(config_map("a", x="1"))
    it.advance(60)
    it.patch("cm", "a", {"data": {"x": "2"}})
    it.create(config_map("b"))
    rule = it.faults.stale(30, resource="configmaps")
    assert it.get("cm", "a")["data"] == {"x": "1"}
    assert it.get("cm", "a")["kind"] == "ConfigMap"
    assert "b" not in {one["metadata"]["name"] for one in it.list("cm", "default")}
    with pytest.raises(errors.ApiError, match='configmaps "b" not found'):
        it.get("cm", "b")
    # Writes are compared with what is there.
    assert it.patch("cm", "a", {"data": {"y": "3"}})["data"] == {"x": "2", "y": "3"}
    rule.remove()
    assert it.get("cm", "b")


def test_watches_break_and_expire_and_nothing_is_missed():
    async def story():
        async with Cluster(nodes=0) as it:
            handle = it.client.of(core.ConfigMap)
            watch = handle.watch("default", "")
            seen = [(await anext(watch)).type]
            assert it.faults.drop_watches(user="kubernetes-admin", resource="configmaps") == 1
            with pytest.raises(Unreachable, match="the stream broke"):
                while True:
                    # What had come before.
                    seen.append((await anext(watch)).type)
            assert seen == ["ADDED", "BOOKMARK"]
            it.faults.error(410, verb="watch", resource="configmaps", user="kubernetes-admin")
            expired = handle.watch("default", "1")
            with pytest.raises(errors.ApiError) as gone:
                await anext(expired)
            assert errors.is_expired(gone.value)
            it.faults.drop_after(20, resource="configmaps", user="kubernetes-admin", times=1)
            short, before = handle.watch("default", ""), it.now
            with pytest.raises(Unreachable):
                while True:
                    await anext(short)
            assert it.now == before + 20

    run(story)


def test_controllers_live_with_broken_watches_conflicts_and_lost_answers(it):
    """Many replicas, none too many and none too few, whatever goes wrong on the way."""
    for code in (409, 429, 500):
        it.faults.error(code, times=5, verb="write", user="system:serviceaccount:kube-system:*")
    it.faults.lost_response(times=3, verb="create", resource="pods")
    it.faults.lost_response(times=3, verb="update", resource="deployments/status")
    it.faults.drop_after(5, times=40)
    it.apply(deployment(6))
    it.wait("Deployment", "web", lambda found: found["status"].get("readyReplicas") == 6)
    it.advance("5m")
    assert len(it.list("Pod", "default")) == 6


def test_a_partitioned_node_is_given_up_and_comes_back(it):
    it.apply(deployment(4))
    it.wait("Deployment", "web", "condition=Available")
    rule = it.partition("node-0")

    def alive() -> list[str]:
        pods = it.list("Pod", "default")
        return [p["spec"].get("nodeName") for p in pods if "deletionTimestamp" not in p["metadata"]]

    it.run_until(lambda: alive() == ["node-1"] * 4)
    it.wait("Node", "node-0", "condition=Ready=Unknown")
    # Its containers run on all the time.
    assert len(it.runtime("node-0").containers) == 2
    rule.remove()
    it.wait("Node", "node-0", "condition=Ready")
    it.run_until(lambda: len(it.list("Pod", "default")) == 4)
    it.run_until(lambda: not it.runtime("node-0").containers)


def test_a_crashed_container_comes_back(it):
    it.apply(deployment(1))
    it.wait("Deployment", "web", "condition=Available")
    name = it.list("Pod", "default")[0]["metadata"]["name"]
    it.crash(name, exit_code=3)
    found = it.wait("Pod", name, lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert found["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3
    with pytest.raises(LookupError, match="no container of pod default/nobody runs"):
        it.crash("nobody")


def test_a_full_disk_is_pressure(it):
    it.fill_disk("node-0")
    it.wait("Node", "node-0", "condition=DiskPressure")
    it.fill_disk("node-0", free=0.8)
    it.wait("Node", "node-0", "condition=DiskPressure=False")


def test_what_does_not_come_true_is_explained(it):
    it.faults.error(500, times=None, resource="configmaps", verb="create")
    spec = {"cpu": "999"}
    it.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "big"},
            "spec": {
                "containers": [{"name": "main", "image": "x:1", "resources": {"requests": spec}}]
            },
        }
    )
    it.stop("controllers")
    with pytest.raises(AssertionError) as failure:
        it.wait("Pod", "big", "condition=Ready", within="1m")
    text = str(failure.value)
    for part in (
        "Pod big: condition=Ready: not within 1m",
        "Pod default/big: Pending; PodScheduled False: 0/2 nodes are available: 2 Insufficient cpu",
        "Pod big: FailedScheduling: 0/2 nodes are available",
        "does not run: controllers",
        "faults: error (0 times)",
        "created pods/default/big by kubernetes-admin",
        "modified pods/default/big by system:kube-scheduler",
    ):
        assert part in text, text
