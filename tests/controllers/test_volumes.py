"""Claims and volumes: who gets which, what is written on the way, what keeps what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.storage.v1.storageclass import StorageClass
from trireme.domain import volumes
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.testing import virtual


def volume(name: str, size: str = "1Gi", **spec: Any) -> PersistentVolume:
    body = {
        "metadata": {"name": name, **spec.pop("metadata", {})},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": f"/srv/{name}"},
            "persistentVolumeReclaimPolicy": "Retain",
        }
        | spec,
    }
    return msgspec.convert(body, PersistentVolume)


def claim(name: str = "c", size: str = "1Gi", **spec: Any) -> PersistentVolumeClaim:
    body = {
        "metadata": {"name": name, "namespace": "default", **spec.pop("metadata", {})},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "",
        }
        | spec,
    }
    return msgspec.convert(body, PersistentVolumeClaim)


def storage_class(name: str, provisioner: str = "example.com/disk", **more: Any) -> StorageClass:
    metadata = {"name": name, "annotations": more.pop("annotations", {})}
    body = {"metadata": metadata, "provisioner": provisioner, **more}
    return msgspec.convert(body, StorageClass)


def pod(name: str, *sources: dict[str, Any]) -> core.Pod:
    body = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": f"v{i}", **source} for i, source in enumerate(sources)],
        },
    }
    return msgspec.convert(body, core.Pod)


def of_claim(name: str) -> dict[str, Any]:
    return {"persistentVolumeClaim": {"claimName": name}}


async def get(world: harness.World, name: str = "c") -> PersistentVolumeClaim:
    return await world.client.get(PersistentVolumeClaim, name, "default")


async def volume_of(world: harness.World, name: str) -> PersistentVolume:
    return await world.client.get(PersistentVolume, name)


@pytest.mark.parametrize(
    ("there", "asked", "selected"),
    [
        ([volume("a", "2Gi"), volume("b", "1Gi"), volume("c", "500Mi")], {}, "b"),
        ([volume("a", "500Mi")], {}, None),
        ([volume("a", accessModes=["ReadOnlyMany"])], {}, None),
        # Fewer modes first, and only then the smaller.
        ([volume("a", accessModes=["ReadWriteOnce", "ReadOnlyMany"]), volume("b", "3Gi")], {}, "b"),
        ([volume("a", storageClassName="x")], {}, None),
        ([volume("a", storageClassName="x")], {"storageClassName": "x"}, "a"),
        ([volume("a", volumeMode="Block")], {}, None),
        ([volume("a", volumeMode="Block")], {"volumeMode": "Block"}, "a"),
        ([volume("a"), volume("b", metadata={"labels": {"disk": "fast"}})],
         {"selector": {"matchLabels": {"disk": "fast"}}}, "b"),
        # One that is meant for the claim, or for another.
        ([volume("a"), volume("b", "9Gi", claimRef={"namespace": "default", "name": "c"})], {},
         "b"),
        ([volume("a", claimRef={"namespace": "default", "name": "other"})], {}, None),
        ([volume("a", claimRef={"namespace": "default", "name": "c", "uid": "other"})], {}, None),
    ],
)  # fmt: skip
def test_the_best_match(
    there: list[PersistentVolume], asked: dict[str, Any], selected: str | None
) -> None:
    for item in there:
        item.status.phase = "Available"
    found = volumes.best_match(claim(**asked), there, delayed=False)
    assert (found.metadata.name if found else None) == selected
    if selected and there[-1].spec.claimRef is None:
        assert volumes.best_match(claim(**asked), there, delayed=True) is None


@virtual.test()
async def test_a_claim_is_bound_and_a_second_one_waits(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(volume("a", "2Gi"))
        await env.clock.sleep(1)
        assert (await volume_of(world, "a")).status.phase == "Available"
        for name in ("c", "d"):
            await world.client.create(claim(name))
        await env.clock.sleep(1)
        bound, there = await get(world), await volume_of(world, "a")
        assert (bound.status.phase, bound.spec.volumeName) == ("Bound", "a")
        assert bound.status.capacity == {"storage": "2Gi"}
        assert bound.metadata.annotations == {
            volumes.BIND_COMPLETED: "yes", volumes.BOUND_BY_CONTROLLER: "yes",
        }  # fmt: skip
        assert there.status.phase == "Bound"
        assert there.spec.claimRef is not None
        assert (there.spec.claimRef.name, there.spec.claimRef.uid) == ("c", bound.metadata.uid)
        assert there.metadata.annotations[volumes.BOUND_BY_CONTROLLER] == "yes"
        other = await get(world, "d")
        assert other.status.phase == "Pending"
        assert "no persistent volumes available for this claim and no storage class is set" in (
            world.messages("d")
        )
        # A volume that comes is bound at once.
        await world.client.create(volume("b"))
        await env.clock.sleep(1)
        assert (await get(world, "d")).spec.volumeName == "b"
        assert not await world.quiet(100)


@virtual.test()
async def test_a_volume_without_its_claim(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(volume("kept"))
        await world.client.create(volume("made", persistentVolumeReclaimPolicy="Delete"))
        for name, there in (("c", "kept"), ("d", "made")):
            await world.client.create(claim(name, volumeName=there))
        await env.clock.sleep(1)
        assert (await get(world, "d")).status.phase == "Bound"
        for name in ("c", "d"):
            await world.client.delete(PersistentVolumeClaim, name, "default")
        await env.clock.sleep(1)
        assert (await volume_of(world, "kept")).status.phase == "Released"
        failed = await volume_of(world, "made")
        assert (failed.status.phase, failed.status.message) == (
            "Failed",
            "host_path deleter only supports /tmp/.+ but received provided /srv/made",
        )
        assert "VolumeFailedDelete" in world.reasons("made")


@virtual.test()
async def test_a_claim_without_its_volume_is_lost(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(volume("a"))
        await world.client.create(claim())
        await env.clock.sleep(1)
        await world.client.delete(PersistentVolume, "a")
        await env.clock.sleep(1)
        # It is bound: it stays until its claim has gone.
        assert (await volume_of(world, "a")).metadata.deletionTimestamp is not None
        patch = {"metadata": {"finalizers": []}}
        await world.client.patch(PersistentVolume, "a", "", patch)
        await env.clock.sleep(1)
        found = await get(world)
        assert found.status.phase == "Lost"
        assert "Bound claim has lost its PersistentVolume. Data on the volume is lost!" in (
            world.messages("c")
        )


@virtual.test()
async def test_classes_wait_and_ask(env: Env) -> None:
    async with harness.world(env, plays="") as world:
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        await world.client.create(storage_class("disk", annotations=default))
        await world.client.create(storage_class("later", volumeBindingMode="WaitForFirstConsumer"))
        await world.client.create(storage_class("none", "kubernetes.io/no-provisioner"))
        by_default = claim("by-default")
        by_default.spec.storageClassName = None
        await world.client.create(by_default)
        for name in ("later", "none", "missing"):
            await world.client.create(claim(name, storageClassName=name))
        await env.clock.sleep(1)
        found = await get(world, "by-default")
        assert found.spec.storageClassName == "disk"
        assert found.metadata.annotations == {
            volumes.PROVISIONER: "example.com/disk", volumes.BETA_PROVISIONER: "example.com/disk",
        }  # fmt: skip
        assert world.reasons("by-default") == ["ExternalProvisioning"]
        assert world.messages("later") == [
            "waiting for first consumer to be created before binding"
        ]
        assert world.messages("none") == [
            "no volume plugin matched name: kubernetes.io/no-provisioner"
        ]
        assert world.messages("missing") == ['storageclass.storage.k8s.io "missing" not found']
        await world.client.create(pod("p", of_claim("later")))
        await env.clock.sleep(16)
        assert "waiting for pod p to be scheduled" in world.messages("later")
        # The scheduler has selected a node: now somebody makes the volume.
        note = {"metadata": {"annotations": {volumes.SELECTED_NODE: "n"}}}
        await world.client.patch(PersistentVolumeClaim, "later", "default", note)
        await env.clock.sleep(1)
        assert volumes.PROVISIONER in (await get(world, "later")).metadata.annotations
        reference = {
            "kind": "PersistentVolumeClaim", "namespace": "default", "name": "later",
            "uid": (await get(world, "later")).metadata.uid,
        }  # fmt: skip
        await world.client.create(
            volume("made", storageClassName="later", claimRef=reference,
                   persistentVolumeReclaimPolicy="Delete",
                   metadata={"annotations": {volumes.PROVISIONED_BY: "example.com/disk"}})
        )  # fmt: skip
        await env.clock.sleep(1)
        assert (await get(world, "later")).status.phase == "Bound"
        await world.client.delete(core.Pod, "p", "default")
        await world.client.delete(PersistentVolumeClaim, "later", "default")
        await env.clock.sleep(1)
        # Whoever made it deletes it.
        assert (await volume_of(world, "made")).status.phase == "Released"


@virtual.test()
async def test_what_is_used_stays(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(volume("a"))
        await world.client.create(claim())
        await world.client.create(pod("p", of_claim("c")))
        await world.until(lambda: [item for item in world.pods() if item.spec.nodeName])
        await world.client.delete(PersistentVolumeClaim, "c", "default")
        await env.clock.sleep(60)
        found = await get(world)
        assert found.metadata.finalizers == [volumes.PVC_PROTECTION]
        await world.client.delete(core.Pod, "p", "default")
        await env.clock.sleep(2)
        left = (await world.client.list(PersistentVolumeClaim, "default")).items
        assert left == []


@virtual.test()
async def test_an_ephemeral_volume_has_a_claim_of_its_own(env: Env) -> None:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
        },
    }
    source = {"ephemeral": {"volumeClaimTemplate": template}}
    async with harness.world(env) as world:
        await world.client.create(volume("a"))
        await world.client.create(pod("p", source))
        await env.clock.sleep(1)
        found = await get(world, "p-v0")
        assert found.status.phase == "Bound"
        assert found.metadata.labels == {"a": "b"}
        [owner] = found.metadata.ownerReferences
        assert (owner.kind, owner.name, owner.controller) == ("Pod", "p", True)
        await world.client.delete(core.Pod, "p", "default")
        await env.clock.sleep(5)
        assert (await world.client.list(PersistentVolumeClaim, "default")).items == []
        # A claim of the name that is somebody else's.
        await world.client.create(claim("q-v0"))
        await world.client.create(pod("q", source))
        await env.clock.sleep(1)
        assert (
            "ephemeral volume v0: PVC default/q-v0 was not created for pod default/q (pod is not "
            "owner)"
        ) in world.messages("q")


@virtual.test()
async def test_only_some_claims_grow(env: Env) -> None:
    async with harness.world(env) as world:
        grow = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
        await world.client.create(storage_class("fixed"))
        await world.client.create(storage_class("elastic", allowVolumeExpansion=True))
        for name in ("fixed", "elastic"):
            await world.client.create(volume(name, storageClassName=name))
            await world.client.create(claim(name, storageClassName=name))
        await world.client.create(claim("pending", storageClassName="elastic"))
        await env.clock.sleep(1)
        for name, message in (
            ("pending", "spec is immutable after creation"),
            ("fixed", "only dynamically provisioned pvc can be resized"),
        ):
            with pytest.raises(errors.ApiError, match=message):
                await world.client.patch(PersistentVolumeClaim, name, "default", grow)
        await world.client.patch(PersistentVolumeClaim, "elastic", "default", grow)
        await env.clock.sleep(1)
        assert "waiting for an external controller to expand this PVC" in world.messages("elastic")


def is_bound(world: harness.World) -> bool:
    found = world.find(PersistentVolumeClaim, "c")
    return found is not None and found.status.phase == "Bound"


def nfs(name: str = "a") -> PersistentVolume:
    source = {"server": "192.0.2.1", "path": "/x"}
    policy = {"persistentVolumeReclaimPolicy": "Recycle"}
    return volume(name, hostPath=None, nfs=source, **policy)


@virtual.test()
async def test_a_volume_is_emptied_by_a_pod_and_free_again(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(nfs())
        await world.client.create(claim())
        await world.until(lambda: is_bound(world))
        # A pod of the name that somebody made has emptied nothing.
        stranger = pod("recycler-for-a")
        stranger.metadata.annotations = {harness.ENDS: "Succeeded"}
        await world.client.create(stranger)
        await world.until(lambda: [p.status.phase for p in world.pods()] == ["Succeeded"])
        await world.client.delete(PersistentVolumeClaim, "c", "default")
        await world.until(lambda: "VolumeFailedRecycle" in world.reasons("a"))
        assert "Recycle failed: old recycler pod found, will retry later" in world.messages("a")

        def is_ours() -> bool:
            found = world.find(core.Pod, "recycler-for-a")
            return found is not None and found.spec.containers[0].name == "pv-recycler"

        await world.until(is_ours)
        made = world.get(core.Pod, "recycler-for-a")
        assert made.spec.activeDeadlineSeconds == 300
        assert made.spec.volumes[0].nfs.server == "192.0.2.1"
        assert (await volume_of(world, "a")).spec.claimRef is not None
        world.end_as(lambda item: "Succeeded")
        await world.until(lambda: "VolumeRecycled" in world.reasons("a"))
        await world.until(lambda: not world.pods())
        found = await volume_of(world, "a")
        assert (found.spec.claimRef, found.status.phase) == (None, "Available")
        assert not await world.quiet(60.0)


@virtual.test()
async def test_a_volume_that_cannot_be_emptied_is_tried_again(env: Env) -> None:
    async with harness.world(env) as world:
        world.end_as(lambda item: "Failed")
        await world.client.create(nfs())
        await world.client.create(claim())
        await world.until(lambda: is_bound(world))
        await world.client.delete(PersistentVolumeClaim, "c", "default")
        await world.until(lambda: "VolumeFailedRecycle" in world.reasons("a"))
        text = "Recycle failed: failed to recycle volume: pod failed, pod.Status.Message unknown"
        assert text in world.messages("a")
        assert (await volume_of(world, "a")).status.phase == "Failed"
        world.end_as(lambda item: "Succeeded")
        await world.until(lambda: "VolumeRecycled" in world.reasons("a"))
        await env.clock.sleep(5.0)
        assert (await volume_of(world, "a")).status.phase == "Available"
