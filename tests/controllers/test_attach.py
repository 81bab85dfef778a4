"""Volumes of CSI drivers: attached where pods need them, to one node at a time, and detached."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from tests.controllers.test_volumes import claim, of_claim, pod, volume
from trireme.api.core import v1 as core
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.api.storage.v1.volumeattachment import VolumeAttachment, VolumeError
from trireme.controllers.storage.attach import plan_attach
from trireme.domain import volumes
from trireme.kit.env import Env
from trireme.machinery.meta import DeleteOptions
from trireme.testing import virtual

DRIVER = "disk.example.com"


def disk(name: str, **spec: Any) -> PersistentVolume:
    csi = {"driver": DRIVER, "volumeHandle": f"handle-{name}"}
    return volume(name, **{"hostPath": None, "csi": csi, **spec})


async def attachments(world: harness.World) -> list[VolumeAttachment]:
    found: list[VolumeAttachment] = (await world.client.list(VolumeAttachment)).items
    return found


async def attached(world: harness.World, node: str) -> list[str]:
    found = await world.client.get(Node, node)
    return [item.name for item in found.status.volumesAttached]


async def attach(world: harness.World) -> None:
    """Be the external attacher."""
    for item in await attachments(world):
        if not item.status.attached and item.metadata.deletionTimestamp is None:
            item.status.attached = True
            await world.client.update_status(item)


async def in_use(world: harness.World, node: str, *names: str) -> None:
    patch = {"status": {"volumesInUse": list(names)}}
    await world.client.patch(Node, node, "", patch, "merge", "status")


def on(node: str, name: str, claim_name: str = "c") -> core.Pod:
    made = pod(name, of_claim(claim_name))
    made.spec.nodeName = node
    return made


async def end(world: harness.World, name: str) -> None:
    now = DeleteOptions(gracePeriodSeconds=0)
    await world.client.delete(core.Pod, name, "default", now)


@virtual.test()
async def test_a_volume_follows_its_pod(env: Env) -> None:
    async with harness.world(env, plays="") as world:
        for node in ("n1", "n2"):
            await world.node(node)
        await world.client.create(disk("a"))
        await world.client.create(claim())
        await env.clock.sleep(1)
        await world.client.create(on("n1", "p"))
        await env.clock.sleep(1)
        [made] = await attachments(world)
        found = await world.client.get(PersistentVolume, "a")
        assert made.metadata.name == volumes.attachment_name(found, "n1")
        assert (made.spec.attacher, made.spec.nodeName) == (DRIVER, "n1")
        assert made.spec.source.persistentVolumeName == "a"
        assert await attached(world, "n1") == []
        await attach(world)
        await env.clock.sleep(1)
        unique = f"kubernetes.io/csi/{DRIVER}^handle-a"
        assert await attached(world, "n1") == [unique]
        assert 'AttachVolume.Attach succeeded for volume "a" ' in world.messages("p")
        await in_use(world, "n1", unique)
        # Another pod elsewhere has to wait, and is told so.
        await world.client.create(on("n2", "q"))
        await env.clock.sleep(5)
        assert len(await attachments(world)) == 1
        assert world.messages("q").count(
            'Multi-Attach error for volume "a" Volume is already used by pod(s) p'
        ) == 1  # fmt: skip
        await end(world, "p")
        await env.clock.sleep(5)
        # It is still mounted.
        assert [item.spec.nodeName for item in await attachments(world)] == ["n1"]
        await in_use(world, "n1")
        await env.clock.sleep(5)
        assert [item.spec.nodeName for item in await attachments(world)] == ["n2"]
        assert await attached(world, "n1") == []


@virtual.test()
async def test_two_nodes_at_once_get_one_attachment(env: Env) -> None:
    async with harness.world(env, plays="") as world:
        for node in ("n1", "n2"):
            await world.node(node)
        await world.client.create(disk("a"))
        await world.client.create(claim())
        await env.clock.sleep(1)
        await world.client.create(on("n1", "p"))
        await world.client.create(on("n2", "q"))
        await env.clock.sleep(5)
        assert len(await attachments(world)) == 1


@virtual.test()
async def test_a_dead_node_lets_go(env: Env) -> None:
    unique = f"kubernetes.io/csi/{DRIVER}^handle-a"
    # The node's conditions are this test's.
    async with harness.world(
        env, plays="", controllers=("*", "-nodelifecycle", "-taint-eviction-controller")
    ) as world:
        for node in ("n1", "n2"):
            await world.node(node)
        for name in ("a", "b"):
            await world.client.create(disk(name))
            await world.client.create(claim(name, volumeName=name))
        await env.clock.sleep(1)
        for name, node in (("a", "n1"), ("b", "n2")):
            await world.client.create(on(node, name, name))
        await env.clock.sleep(1)
        await attach(world)
        await in_use(world, "n1", unique)
        await in_use(world, "n2", unique.replace("handle-a", "handle-b"))
        for node in ("n1", "n2"):
            found = await world.client.get(Node, node)
            found.status.conditions[0].status = "Unknown"
            await world.client.update_status(found)
        for name in ("a", "b"):
            await end(world, name)
        await env.clock.sleep(100)
        assert len(await attachments(world)) == 2
        # Somebody says that n2 is down for good; n1 is waited for six minutes.
        taint = {"key": plan_attach.OUT_OF_SERVICE, "effect": "NoExecute"}
        await world.client.patch(Node, "n2", "", {"spec": {"taints": [taint]}})
        await env.clock.sleep(2)
        assert [item.spec.nodeName for item in await attachments(world)] == ["n1"]
        await env.clock.sleep(270)
        assert await attachments(world) == []


@virtual.test()
async def test_some_drivers_attach_nothing_and_some_fail(env: Env) -> None:
    async with harness.world(env, plays="") as world:
        await world.node("n1")
        driver = {"metadata": {"name": DRIVER}, "spec": {"attachRequired": False}}
        await world.client.create(msgspec.convert(driver, CSIDriver))
        await world.client.create(disk("a"))
        other = {"driver": "other.example.com", "volumeHandle": "h"}
        await world.client.create(disk("b", csi=other))
        for name in ("a", "b"):
            await world.client.create(claim(name, volumeName=name))
        await env.clock.sleep(1)
        for name in ("a", "b"):
            await world.client.create(on("n1", name, name))
        await env.clock.sleep(1)
        [made] = await attachments(world)
        assert made.spec.attacher == "other.example.com"
        made.status.attachError = VolumeError(message="no space")
        await world.client.update_status(made)
        await env.clock.sleep(1)
        assert 'AttachVolume.Attach failed for volume "b" : no space' in world.messages("b")
        later = await world.quiet(100)
        assert not [write for write in later if "attachdetach" in write[0]]
        found = await world.client.get(PersistentVolumeClaim, "a", "default")
        assert found.status.phase == "Bound"


@virtual.test()
async def test_attachments_that_others_made_stay(env: Env) -> None:
    """Under a name of their own, as tools and operators make them."""
    async with harness.world(env, plays="") as world:
        await world.node("n1")
        made = msgspec.convert(
            {
                "metadata": {"name": "by-hand"},
                "spec": {
                    "attacher": DRIVER,
                    "nodeName": "n1",
                    "source": {"persistentVolumeName": "a"},
                },
            },
            VolumeAttachment,
        )
        await world.client.create(made)
        await env.clock.sleep(60)
        assert [item.metadata.name for item in await attachments(world)] == ["by-hand"]
