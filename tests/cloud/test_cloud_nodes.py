"""Nodes and their machines: addresses, switched off, gone."""

from __future__ import annotations

import dataclasses

import pytest

from tests.controllers import harness
from tests.controllers.cases.cloud_node import manifest
from trireme.api.core import v1 as core
from trireme.cloud import taints
from trireme.cloud.nodes import plan_node
from trireme.testing import memory_cloud, virtual
from trireme.testing.memory_cloud import MemoryCloud

ONLY = ("cloud-node-controller", "cloud-node-lifecycle-controller")


def is_initialized(w: harness.World) -> bool:
    node = w.find(core.Node, "fresh", "")
    return node is not None and not plan_node.is_uninitialized(node)


def addresses(*pairs: str) -> list[core.NodeAddress]:
    found = [text.split("=") for text in pairs]
    return [core.NodeAddress(type=kind, address=address) for kind, address in found]


@pytest.mark.parametrize(
    ("own", "provided", "expected"),
    [
        (None, ("InternalIP=10.0.0.1",), ("InternalIP=10.0.0.1", "Hostname=n")),
        (None, ("InternalIP=10.0.0.1", "Hostname=x"), ("InternalIP=10.0.0.1", "Hostname=x")),
        (
            "10.0.0.2",
            ("InternalIP=10.0.0.1", "ExternalIP=192.0.2.1", "InternalIP=10.0.0.2"),
            ("InternalIP=10.0.0.2", "ExternalIP=192.0.2.1", "Hostname=n"),
        ),
        (
            "10.0.0.1,fd00::1",
            ("InternalIP=fd00:0::1", "InternalIP=10.0.0.1"),
            ("InternalIP=10.0.0.1", "InternalIP=fd00:0::1", "Hostname=n"),
        ),
    ],
)
def test_addresses(own, provided, expected):
    node = core.Node(status=core.NodeStatus(addresses=addresses("Hostname=n")))
    if own is not None:
        node.metadata.annotations = {plan_node.PROVIDED_IP: own}
    assert plan_node.addresses_of(node, addresses(*provided)) == addresses(*expected)


@pytest.mark.parametrize("own", ["", "x", "10.0.0.1,10.0.0.2", "10.0.0.9", "10.0.0.1,fd00::9"])
def test_an_address_that_the_provider_does_not_know(own):
    node = core.Node()
    node.metadata.annotations = {plan_node.PROVIDED_IP: own}
    with pytest.raises(plan_node.BadAddress):
        plan_node.addresses_of(node, addresses("InternalIP=10.0.0.1", "InternalIP=10.0.0.2"))


@virtual.test()
async def test_a_node_waits_until_its_provider_knows_it(env):
    async with harness.world(env, plays="", cloud=MemoryCloud, controllers=ONLY) as w:
        await w.client.create(manifest("fresh"))
        await env.clock.sleep(3.0)
        waiting = w.get(core.Node, "fresh", "")
        assert plan_node.is_uninitialized(waiting)
        w.cloud.add_machine("fresh")
        await w.client.patch(core.Node, "fresh", None, {"metadata": {"labels": {"a": "b"}}})
        await w.until(lambda: is_initialized(w))
        await w.until(lambda: "Synced" in w.reasons("fresh"))
        (event,) = w.events("fresh")
        assert event.source.component == "cloud-node-controller"
        assert event.message == "Node synced successfully"


@virtual.test()
async def test_addresses_are_compared_every_five_minutes(env):
    def cloud() -> MemoryCloud:
        made = MemoryCloud()
        made.add_machine("fresh", addresses=memory_cloud.addresses("10.0.0.7"))
        return made

    async with harness.world(env, plays="", cloud=cloud, controllers=ONLY) as w:
        await w.client.create(manifest("fresh"))
        await w.until(lambda: is_initialized(w))
        machine = w.cloud.machines["fresh"]
        machine.metadata = dataclasses.replace(
            machine.metadata, addresses=memory_cloud.addresses("10.0.0.8")
        )
        took = await w.until(
            lambda: w.get(core.Node, "fresh", "").status.addresses[0].address == "10.0.0.8", 310.0
        )
        assert took > 250.0


@virtual.test()
async def test_switched_off_and_gone(env):
    def cloud() -> MemoryCloud:
        made = MemoryCloud()
        made.add_machine("a")
        made.add_machine("b")
        return made

    async def ready(w: harness.World, name: str, status: str) -> None:
        condition = {"type": "Ready", "status": status}
        change = {"status": {"conditions": [condition]}}
        await w.client.patch(core.Node, name, None, change, "strategic", "status")

    def is_off(w: harness.World, name: str) -> bool:
        return any(one.key == taints.SHUTDOWN for one in w.get(core.Node, name, "").spec.taints)

    async with harness.world(env, plays="", cloud=cloud, controllers=ONLY) as w:
        for name in ("a", "b", "lost"):
            await w.node(name)
        await env.clock.sleep(12.0)
        assert len(w.list(core.Node)) == 3, "a node that is ready was deleted"
        w.cloud.machines["a"].running = False
        for name in ("a", "b", "lost"):
            await ready(w, name, "Unknown")
        await w.until(lambda: is_off(w, "a") and w.find(core.Node, "lost", "") is None, 11.0)
        assert not is_off(w, "b")
        await w.until(lambda: "DeletingNode" in w.reasons("lost"))
        text = "Deleting node lost because it does not exist in the cloud provider"
        assert text in w.messages("lost")
        await ready(w, "a", "True")
        await w.until(lambda: not is_off(w, "a"), 11.0)
