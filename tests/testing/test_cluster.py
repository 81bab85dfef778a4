"""``trireme.testing.Cluster``: objects by every form, the clock, components, values."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from trireme.api.apps import v1 as apps
from trireme.api.core import v1 as core
from trireme.kit.clock import Frozen
from trireme.machinery import errors, meta
from trireme.testing import Behaviour, Cluster, NeverTrue, SyncCluster, durations, run
from trireme.testing.kinds import UnknownKind
from trireme.testing.options import Options
from trireme.testing.snapshot import Snapshot

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "web:1"}]}
"""
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "shirts.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "shirts", "singular": "shirt", "kind": "Shirt", "shortNames": ["sh"]},
        "versions": [
            {
                "name": version,
                "served": True,
                "storage": version == "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
            for version in ("v1beta1", "v1")
        ],
    },
}


def config_map(name: str, **data: str) -> core.ConfigMap:
    metadata = meta.ObjectMeta(name=name, namespace="default")
    return core.ConfigMap(metadata=metadata, data=data)


def test_objects_by_dict_struct_text_and_path(tmp_path):
    (tmp_path / "web.yaml").write_text(WEB)
    with SyncCluster(folders=(tmp_path,)) as cluster:
        made = cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        assert made["metadata"]["namespace"] == "default"
        typed = cluster.create(config_map("b", key="value"))
        assert isinstance(typed, core.ConfigMap) and typed.metadata.uid
        assert cluster.get(core.ConfigMap, "b").data == {"key": "value"}
        assert [one["kind"] for one in cluster.apply("web.yaml")] == ["Deployment"]
        assert [one["kind"] for one in cluster.apply(tmp_path)] == ["Deployment"]
        both = cluster.apply(WEB + "---\n" + WEB.replace("name: web}", "name: second}"), "default")
        assert [one["metadata"]["name"] for one in both] == ["web", "second"]
        for kind in ("deploy", "Deployment", "deployments", "deployments.apps", "apps/v1/deploy"):
            assert cluster.get(kind, "web")["spec"]["replicas"] == 3
        patched = cluster.patch("deploy", "web", {"spec": {"replicas": 1}})
        assert patched["spec"]["replicas"] == 1
        changed = cluster.patch(
            apps.Deployment,
            "web",
            [{"op": "replace", "path": "/spec/replicas", "value": 2}],
            type="json",
        )
        assert changed.spec.replicas == 2
        assert [m["metadata"]["name"] for m in cluster.list("cm", fields="metadata.name=b")] == [
            "b"
        ]
        cluster.delete("deploy", "web")
        cluster.wait("deploy", "web", "delete")
        cluster.run_until(lambda: cluster.list("pods", labels="app=web") is not None)


def test_what_is_not_there_is_named(tmp_path):
    with SyncCluster(runtime="none") as cluster:
        with pytest.raises(UnknownKind, match="doesn't have a resource type 'shirts'"):
            cluster.list("shirts")
        with pytest.raises(UnknownKind, match='no matches for kind "Shirt"'):
            cluster.apply({"apiVersion": "example.org/v1", "kind": "Shirt"})
        with pytest.raises(FileNotFoundError, match=r"looked for .*nowhere\.yaml"):
            cluster.apply("nowhere.yaml")
        with pytest.raises(ValueError, match="no apiVersion and kind"):
            cluster.apply({"kind": "Pod"})
        with pytest.raises(errors.ApiError) as caught:
            cluster.get("pod", "web")
        assert errors.is_not_found(caught.value)
    with pytest.raises(ValueError, match="not one of none, fake, containers"):
        Options(runtime="docker")
    with pytest.raises(ValueError, match="there are none"):
        Options(runtime="none", nodes=1)


def test_custom_kinds_from_the_start_and_later():
    """The newest stable version is meant; a definition and its objects come in one file."""
    with SyncCluster(runtime="none", crds=(CRD,)) as cluster:
        cluster.create(
            {"apiVersion": "example.org/v1beta1", "kind": "Shirt", "metadata": {"name": "a"}}
        )
        assert cluster.get("sh", "a")["apiVersion"] == "example.org/v1"
    with SyncCluster(runtime="none") as cluster:
        cluster.apply(CRD)
        cluster.apply({"apiVersion": "example.org/v1", "kind": "Shirt", "metadata": {"name": "b"}})
        assert len(cluster.list("shirts.example.org")) == 1


def test_time_passes_as_told_and_not_by_itself():
    with SyncCluster() as cluster:
        began = cluster.now
        cluster.apply(WEB)
        cluster.list("Pod")
        assert cluster.now == began
        cluster.advance("1m30s")
        cluster.advance(5)
        cluster.advance(timedelta(minutes=1))
        assert cluster.now - began == pytest.approx(155)
        with cluster.freeze():
            assert len(cluster.list("Pod")) == 3
            with pytest.raises(Frozen):
                cluster.advance(1)
        with pytest.raises(ValueError, match="time does not go back"):
            cluster.advance(-1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("31d", 31 * 86400), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400)]
)
def test_durations(text, seconds):
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "31", "1 h", "d", "1y", "h1"])
def test_no_durations(text):
    with pytest.raises(ValueError, match="is no length of time"):
        durations.seconds(text)


def test_wait_and_run_until():
    with SyncCluster() as cluster:
        cluster.apply(WEB)
        found = cluster.wait("deploy", "web", "condition=Available")
        assert found["status"]["readyReplicas"] == 3
        ready = cluster.wait(
            apps.Deployment, "web", lambda deployment: deployment.status.readyReplicas == 3
        )
        assert isinstance(ready, apps.Deployment)
        cluster.wait("deploy", "web", "jsonpath={.status.readyReplicas}=3")
        began = cluster.now
        assert cluster.run_until(lambda: cluster.aio.now - began >= 90) is True
        assert 90 <= cluster.now - began <= 92
        with pytest.raises(NeverTrue, match="Deployment web: condition=Nonsense: not within 2m"):
            cluster.wait("deploy", "web", "condition=Nonsense", within="2m")
        with pytest.raises(ValueError, match="not condition="):
            cluster.wait("deploy", "web", "ready")


def test_components_die_and_come_back():
    with SyncCluster(nodes=2) as cluster:
        cluster.stop("controllers")
        cluster.apply(WEB)
        cluster.advance("1m")
        assert cluster.list("ReplicaSet") == []
        cluster.restart("controllers")
        cluster.wait("deploy", "web", "condition=Available")
        cluster.stop("node-1")
        cluster.wait("Node", "node-1", "condition=Ready=Unknown")
        cluster.restart("node-1")
        cluster.wait("Node", "node-1", "condition=Ready")
        with pytest.raises(ValueError, match="no component 'node-7'"):
            cluster.restart("node-7")


def test_other_users_under_their_own_rights():
    async def main():
        async with Cluster(runtime="none") as cluster:
            nobody = cluster.client_for("jane")
            with pytest.raises(errors.ApiError, match=r"pods is forbidden: User \"jane\""):
                await nobody.list(core.Pod, "default")

    run(main)


def test_on_a_real_loop_time_is_real():
    async def main():
        async with Cluster(runtime="none") as cluster:
            began = cluster.now
            await cluster.advance("20ms")
            assert 0.02 <= cluster.now - began < 10
            with pytest.raises(RuntimeError, match="the clock is real"), cluster.freeze():
                pass

    asyncio.run(main())


def test_forks_go_their_own_ways():
    """At the same time, with the same objects and containers; neither sees the other."""
    with SyncCluster(nodes=2) as cluster:
        cluster.apply(WEB)
        cluster.wait("deploy", "web", "condition=Available")
        cluster.advance("5m")
        fork = cluster.fork()
        assert fork.now == cluster.now
        before = {pod["metadata"]["uid"] for pod in cluster.list("Pod")}
        fork.advance("2m")
        assert {pod["metadata"]["uid"] for pod in fork.list("Pod")} == before
        restarts = [
            status["restartCount"]
            for pod in fork.list("Pod")
            for status in pod["status"]["containerStatuses"]
        ]
        assert restarts == [0, 0, 0]
        fork.delete("deploy", "web")
        fork.run_until(lambda: fork.list("Pod") == [])
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}})
        assert len(cluster.list("Pod")) == 3
        with pytest.raises(errors.ApiError):
            fork.get("ConfigMap", "mine")


def test_a_running_container_ends_in_a_fork_when_it_would_have():
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "backup"},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "backup:1"}],
                }
            }
        },
    }
    with SyncCluster(behave=lambda *_: Behaviour(run_seconds=300.0)) as cluster:
        cluster.apply(job)
        cluster.advance("2m")
        fork = cluster.fork()
        began = fork.now
        fork.wait("Job", "backup", "condition=Complete")
        assert 175 <= fork.now - began <= 185


def test_restore_goes_back(tmp_path):
    """In the cluster itself, and from a file in another one."""
    with SyncCluster() as cluster:
        cluster.apply(WEB)
        cluster.wait("deploy", "web", "condition=Available")
        kept = cluster.snapshot()
        kept.save(tmp_path / "cluster.snapshot")
        cluster.delete("deploy", "web")
        cluster.run_until(lambda: cluster.list("Pod") == [])
        cluster.restore(kept)
        assert cluster.now == kept.now
        assert len(cluster.list("Pod")) == 3
        cluster.advance("1m")
        assert cluster.get("deploy", "web")["status"]["readyReplicas"] == 3
    assert (tmp_path / "cluster.snapshot").stat().st_mode & 0o077 == 0
    loaded = Snapshot.load(tmp_path / "cluster.snapshot")
    with SyncCluster(snapshot=loaded) as other:
        other.advance("1m")
        assert other.get("deploy", "web")["status"]["readyReplicas"] == 3
    (tmp_path / "no.snapshot").write_bytes(b"{}")
    with pytest.raises(ValueError, match="is no snapshot of a cluster"):
        Snapshot.load(tmp_path / "no.snapshot")
    with pytest.raises(ValueError, match="the snapshot has the nodes node-0"):
        SyncCluster(snapshot=loaded, nodes=2)


def test_an_idle_month_takes_no_time_and_its_end_is_as_ever():
    """What looks at the same things again and again is left out while nothing changes: nodes stay
    ready, what has expired is gone, and what happens next is noticed as soon as ever."""
    with SyncCluster(nodes=2) as cluster:
        cluster.apply(WEB)
        cluster.wait("deploy", "web", "condition=Available")
        assert cluster.list("Event")
        began = time.perf_counter()
        cluster.advance("31d")
        assert time.perf_counter() - began < 10
        assert cluster.list("Event") == []
        assert cluster.get("deploy", "web")["status"]["readyReplicas"] == 3
        for name in ("node-0", "node-1"):
            assert cluster.wait("Node", name, "condition=Ready", within=0)
        cluster.stop("node-1")
        stopped = cluster.now
        cluster.wait("Node", "node-1", "condition=Ready=Unknown")
        assert 40 <= cluster.now - stopped <= 61
        cluster.run_until(
            lambda: {p["spec"]["nodeName"] for p in _alive(cluster.list("Pod"))} == {"node-0"}
        )
        assert 340 <= cluster.now - stopped <= 375


def _alive(pods):
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
