"""Volumes in scheduling: where a pod's claims let it run, and what is bound before it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers.test_volumes import claim, of_claim, pod, storage_class, volume
from tests.scheduler.test_scheduler_loop import add_node, node, scheduling
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.api.storage.v1.csinode import CSINode
from trireme.api.storage.v1.csistoragecapacity import CSIStorageCapacity
from trireme.api.storage.v1.storageclass import StorageClass
from trireme.api.storage.v1.volumeattachment import VolumeAttachment
from trireme.client.client import Client
from trireme.domain import volumes
from trireme.kit.env import Env
from trireme.machinery.meta import DeleteOptions
from trireme.testing import virtual

LATER = "WaitForFirstConsumer"


def at(name: str) -> dict[str, Any]:
    """The node affinity of a volume that is at one node."""
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


async def place_of(client: Client, name: str) -> str:
    return (await client.get(Pod, name, "default")).spec.nodeName


async def message_of(client: Client, name: str) -> str:
    found = await client.get(Pod, name, "default")
    return next((item.message for item in found.status.conditions), "")


async def bind(client: Client, name: str, there: str) -> None:
    """What the volume binder writes in the end."""
    found = await client.get(PersistentVolumeClaim, name, "default")
    held = await client.get(PersistentVolume, there)
    held.spec.claimRef = volumes.reference_to(found)
    await client.update(held)
    found.spec.volumeName = there
    found.metadata.annotations = {
        **found.metadata.annotations, volumes.BIND_COMPLETED: "yes",
    }  # fmt: skip
    await client.update(found)


async def phase(client: Client, name: str, to: str) -> None:
    found = await client.get(PersistentVolume, name)
    found.status.phase = to
    await client.update_status(found)


@virtual.test()
async def test_a_bound_volume_says_where(env: Env) -> None:
    async with scheduling(env) as client:
        for name in ("n1", "n2"):
            await add_node(client, node(name))
        await client.create(volume("a", nodeAffinity=at("n2")))
        await client.create(claim())
        await client.create(pod("p", of_claim("c")))
        await env.clock.sleep(1)
        assert await message_of(client, "p") == (
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
            "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
        await bind(client, "c", "a")
        await env.clock.sleep(5)
        assert await place_of(client, "p") == "n2"
        await client.create(volume("far", nodeAffinity=at("n9")))
        await client.create(claim("far"))
        await bind(client, "far", "far")
        await client.create(pod("q", of_claim("far")))
        await env.clock.sleep(1)
        assert await message_of(client, "q") == (
            "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity. "
            "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, 'persistentvolumeclaim "c" not found'),
        ("Lost", 'persistentvolumeclaim "c" bound to non-existent persistentvolume "gone"'),
    ],
)
def test_claims_that_are_not_there(made: str | None, message: str) -> None:
    async def story(env: Env) -> None:
        async with scheduling(env) as client:
            await add_node(client, node("n1"))
            if made:
                found = await client.create(claim(volumeName="gone"))
                found.status.phase = made
                await client.update_status(found)
            await client.create(pod("p", of_claim("c")))
            await env.clock.sleep(1)
            assert (await message_of(client, "p")).startswith(
                f"0/1 nodes are available: {message}. "
            )

    virtual.run(story)


@virtual.test()
async def test_a_claim_that_waits_gets_the_volume_at_its_pods_node(env: Env) -> None:
    async with scheduling(env) as client:
        for name in ("n1", "n2"):
            await add_node(client, node(name))
        await client.create(
            storage_class("local", "kubernetes.io/no-provisioner", volumeBindingMode=LATER)
        )
        await client.create(claim(storageClassName="local"))
        await client.create(pod("p", of_claim("c")))
        await env.clock.sleep(1)
        assert "2 node(s) didn't find available persistent volumes to bind" in (
            await message_of(client, "p")
        )
        for name, size in (("big", "5Gi"), ("small", "2Gi"), ("tiny", "1Mi")):
            await client.create(volume(name, size, storageClassName="local", nodeAffinity=at("n2")))
            await phase(client, name, "Available")
        await env.clock.sleep(15)
        # It is given to the claim, and the pod waits until that is written on the claim.
        held = await client.get(PersistentVolume, "small")
        assert held.spec.claimRef is not None
        assert held.spec.claimRef.name == "c"
        assert await place_of(client, "p") == ""
        # Meanwhile nobody else gets it.
        await client.create(claim("d", storageClassName="local"))
        await client.create(pod("q", of_claim("d")))
        await env.clock.sleep(5)
        other = await client.get(PersistentVolume, "big")
        assert other.spec.claimRef is not None
        assert other.spec.claimRef.name == "d"
        await bind(client, "c", "small")
        await env.clock.sleep(1)
        assert await place_of(client, "p") == "n2"


@virtual.test()
async def test_a_provisioner_is_told_the_node(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("n1", labels={"zone": "a"}))
        await add_node(client, node("n2", labels={"zone": "b"}))
        topology = {"matchLabelExpressions": [{"key": "zone", "values": ["b"]}]}
        await client.create(
            storage_class("disk", volumeBindingMode=LATER, allowedTopologies=[topology])
        )
        await client.create(claim(storageClassName="disk"))
        await client.create(pod("p", of_claim("c")))
        await env.clock.sleep(1)
        found = await client.get(PersistentVolumeClaim, "c", "default")
        assert found.metadata.annotations[volumes.SELECTED_NODE] == "n2"
        assert await place_of(client, "p") == ""
        # The provisioner cannot: it takes the node back, and the pod is scheduled again.
        remove = {"metadata": {"annotations": {volumes.SELECTED_NODE: None}}}
        await client.patch(PersistentVolumeClaim, "c", "default", remove)
        await env.clock.sleep(15)
        found = await client.get(PersistentVolumeClaim, "c", "default")
        assert found.metadata.annotations[volumes.SELECTED_NODE] == "n2"
        await client.create(volume("made", storageClassName="disk", nodeAffinity=at("n2")))
        await bind(client, "c", "made")
        await env.clock.sleep(1)
        assert await place_of(client, "p") == "n2"


@virtual.test()
async def test_waiting_for_volumes_holds_up_no_other_pod(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("n1", cpu="100"))
        await client.create(storage_class("disk", volumeBindingMode=LATER))
        capacity = {"status": {"allocatable": {"pods": "100"}}}
        await client.patch(Node, "n1", "", capacity, "merge", "status")
        for number in range(20):
            await client.create(claim(f"c{number}", storageClassName="disk"))
            await client.create(pod(f"p{number}", of_claim(f"c{number}")))
        await env.clock.sleep(1)
        await client.create(pod("free"))
        await env.clock.sleep(1)
        assert await place_of(client, "free") == "n1"
        # After ten minutes without a volume the pod is given back.
        await client.delete(StorageClass, "disk")
        await env.clock.sleep(620)
        assert "pod has unbound immediate PersistentVolumeClaims" in await message_of(client, "p0")


@virtual.test()
async def test_storage_capacity_counts(env: Env) -> None:
    async with scheduling(env) as client:
        for name in ("n1", "n2"):
            await add_node(client, node(name))
        driver = {"metadata": {"name": "example.com"}, "spec": {"storageCapacity": True}}
        await client.create(msgspec.convert(driver, CSIDriver))
        await client.create(storage_class("disk", "example.com", volumeBindingMode=LATER))
        await client.create(claim(storageClassName="disk"))
        await client.create(pod("p", of_claim("c")))
        await env.clock.sleep(1)
        assert "2 node(s) did not have enough free storage" in await message_of(client, "p")
        capacity = {
            "metadata": {"name": "x", "namespace": "default"},
            "storageClassName": "disk",
            "capacity": "2Gi",
            "nodeTopology": {"matchLabels": {"kubernetes.io/hostname": "n2"}},
        }
        await client.create(msgspec.convert(capacity, CSIStorageCapacity))
        await env.clock.sleep(15)
        found = await client.get(PersistentVolumeClaim, "c", "default")
        assert found.metadata.annotations[volumes.SELECTED_NODE] == "n2"


@virtual.test()
async def test_a_volume_for_one_pod(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("n1"))
        await client.create(volume("a", accessModes=["ReadWriteOncePod"]))
        await client.create(claim(accessModes=["ReadWriteOncePod"]))
        await bind(client, "c", "a")
        for name in ("p", "q"):
            await client.create(pod(name, of_claim("c")))
            await env.clock.sleep(1)
        assert await place_of(client, "p") == "n1"
        assert (
            "1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode "
            "already in-use by another pod"
        ) in await message_of(client, "q")
        now = DeleteOptions(gracePeriodSeconds=0)
        await client.delete(Pod, "p", "default", now)
        await env.clock.sleep(15)
        assert await place_of(client, "q") == "n1"


@virtual.test()
async def test_limits_and_zones(env: Env) -> None:
    zone = "topology.kubernetes.io/zone"
    async with scheduling(env) as client:
        await add_node(client, node("n1", labels={zone: "a"}))
        await add_node(client, node("n2", labels={zone: "b"}))
        drivers = [{"name": "example.com", "nodeID": "n1", "allocatable": {"count": 1}}]
        limit = {"metadata": {"name": "n1"}, "spec": {"drivers": drivers}}
        await client.create(msgspec.convert(limit, CSINode))
        for name in ("a", "b", "c", "d"):
            csi = {"driver": "example.com", "volumeHandle": name}
            metadata = {"labels": {zone: "b" if name == "d" else "a__c"}}
            await client.create(volume(name, hostPath=None, csi=csi, metadata=metadata))
            await client.create(claim(name))
            await bind(client, name, name)
        await client.create(pod("p", of_claim("a")))
        await client.create(pod("zoned", of_claim("d")))
        await env.clock.sleep(1)
        assert await place_of(client, "p") == "n1"
        assert await place_of(client, "zoned") == "n2"
        await client.create(pod("q", of_claim("b")))
        # One that is there already is not another one.
        await client.create(pod("same", of_claim("a")))
        await env.clock.sleep(1)
        assert await place_of(client, "same") == "n1"
        text = await message_of(client, "q")
        assert "1 node(s) exceed max volume count" in text
        assert "1 node(s) had no available volume zone" in text


@virtual.test()
async def test_what_is_attached_counts_without_a_pod(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("n1"))
        drivers = [{"name": "example.com", "nodeID": "n1", "allocatable": {"count": 1}}]
        limit = {"metadata": {"name": "n1"}, "spec": {"drivers": drivers}}
        await client.create(msgspec.convert(limit, CSINode))
        for name in ("a", "b"):
            csi = {"driver": "example.com", "volumeHandle": name}
            await client.create(volume(name, hostPath=None, csi=csi))
            await client.create(claim(name))
            await bind(client, name, name)
        # The pod of volume a has gone, and the volume is still being detached.
        source = {"persistentVolumeName": "a"}
        spec = {"attacher": "example.com", "nodeName": "n1", "source": source}
        attached = {"metadata": {"name": "va"}, "spec": spec}
        await client.create(msgspec.convert(attached, VolumeAttachment))
        await client.create(pod("q", of_claim("b")))
        await env.clock.sleep(1)
        assert await place_of(client, "q") == ""
        assert "1 node(s) exceed max volume count" in await message_of(client, "q")
        # The same volume is no volume more.
        await client.create(pod("same", of_claim("a")))
        await env.clock.sleep(1)
        assert await place_of(client, "same") == "n1"
        await client.delete(Pod, "same", "default", DeleteOptions(gracePeriodSeconds=0))
        await client.delete(VolumeAttachment, "va")
        await env.clock.sleep(15)
        assert await place_of(client, "q") == "n1"


@virtual.test()
async def test_disks_that_two_cannot_have(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("n1"))
        disk = {"gcePersistentDisk": {"pdName": "d"}}
        read_only = {"gcePersistentDisk": {"pdName": "e", "readOnly": True}}
        for name, source in (("p", disk), ("q", disk), ("r", read_only), ("s", read_only)):
            await client.create(pod(name, source))
            await env.clock.sleep(1)
        places = [await place_of(client, name) for name in ("p", "q", "r", "s")]
        assert places == ["n1", "", "n1", "n1"]
        assert "1 node(s) had no available disk" in await message_of(client, "q")
