"""Stories of claims: a class provisions, a StatefulSet keeps its data, all goes with the claim."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.flows import screen
from trireme.api.apps import v1 as apps
from trireme.api.core import v1 as core
from trireme.api.storage.v1.storageclass import StorageClass
from trireme.domain import pods
from trireme.testing import virtual

SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def claim(name: str = "data", **spec: Any) -> core.PersistentVolumeClaim:
    found = {"metadata": {"name": name, "namespace": "default"}, "spec": {**SPEC, **spec}}
    return msgspec.convert(found, core.PersistentVolumeClaim)


def user(name: str = "web", of: str = "data") -> core.Pod:
    mounts = [{"name": "v", "mountPath": "/data"}]
    spec = {
        "containers": [{"name": "main", "image": "web", "volumeMounts": mounts}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": of}}],
    }
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    return msgspec.convert({"metadata": metadata, "spec": spec}, core.Pod)


def phase(s: screen.Screen, name: str = "data") -> str:
    found = s.find(core.PersistentVolumeClaim, name)
    return found.status.phase if found is not None else ""


@virtual.test(seed=1)
async def test_a_claim_gets_a_volume_with_its_first_pod_and_takes_it_along(env):
    async with screen.watched(env, nodes=2) as s:
        await s.client.create(claim())
        await s.until(lambda: "WaitForFirstConsumer" in s.reasons("data"))
        assert phase(s) == "Pending" and not s.list(core.PersistentVolume, "")
        await s.client.create(user())
        await s.until(lambda: all(map(pods.is_ready, s.pods())) and s.pods() != [])
        assert phase(s) == "Bound"
        (volume,) = s.list(core.PersistentVolume, "")
        assert volume.spec.storageClassName == "local-path"
        assert volume.spec.capacity == {"storage": "1Gi"}
        assert {"Provisioning", "ProvisioningSucceeded"} & set(s.reasons("data"))
        # The claim is protected while the pod uses it; then the volume goes with it.
        await s.client.delete(core.PersistentVolumeClaim, "data", "default")
        await s.cluster.advance(5)
        assert phase(s) == "Bound"
        await s.client.delete(core.Pod, "web", "default")
        await s.until(lambda: not s.list(core.PersistentVolume, ""))
        assert phase(s) == ""


@virtual.test(seed=2)
async def test_a_statefulset_keeps_its_volumes_when_a_node_is_lost(env):
    async with screen.watched(env, nodes=2) as s:
        container = {"name": "main", "image": "db", "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
        ]}  # fmt: skip
        spec = {
            "replicas": 2,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": SPEC}],
        }
        metadata = {"name": "db", "namespace": "default"}
        found = {"metadata": metadata, "spec": spec}
        await s.client.create(msgspec.convert(found, apps.StatefulSet))
        await s.until(lambda: sum(map(pods.is_ready, s.pods("db"))) == 2)
        before = {c.metadata.name: c.spec.volumeName for c in s.list(core.PersistentVolumeClaim)}
        lost = s.find(core.Pod, "db-0").spec.nodeName
        await s.cluster.stop(lost)
        # Nobody knows whether the pod still runs: it is not replaced before its node is gone.
        await s.cluster.advance(900)
        assert not pods.is_ready(s.find(core.Pod, "db-0"))
        await s.client.delete(core.Node, lost)
        await s.until(lambda: sum(map(pods.is_ready, s.pods("db"))) == 2, 900)
        assert s.find(core.Pod, "db-0").spec.nodeName != lost
        after = {c.metadata.name: c.spec.volumeName for c in s.list(core.PersistentVolumeClaim)}
        assert after == before and set(after) == {"data-db-0", "data-db-1"}


@pytest.mark.parametrize(
    ("spec", "detail"),
    [
        ({"volumeMode": "Block"}, "does not support block volume provisioning"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "claim Selector is not supported"),
    ],
)
def test_what_a_folder_is_not_is_refused(spec: dict[str, Any], detail: str) -> None:
    async def story(env: Any) -> None:
        async with screen.watched(env, nodes=1) as s:
            found = StorageClass(provisioner="trireme/local-path")
            found.metadata.name = "now"
            await s.client.create(found)
            await s.client.create(claim(storageClassName="now", **spec))
            await s.until(lambda: "ProvisioningFailed" in s.reasons("data"))
            (event,) = [e for e in s.list(core.Event) if e.reason == "ProvisioningFailed"]
            assert detail in event.message
            # A class that does not wait is served at once.
            await s.client.create(claim("other", storageClassName="now"))
            await s.until(lambda: phase(s, "other") == "Bound")

    virtual.run(story)
