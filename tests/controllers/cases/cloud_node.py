"""Nodes that wait for their cloud: they get its labels, addresses and ID, and lose the taint."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core.v1.node_types import Node
from trireme.cloud import taints
from trireme.testing import memory_cloud
from trireme.testing.memory_cloud import MemoryCloud


def cloud() -> MemoryCloud:
    made = MemoryCloud()
    made.add_machine(
        "fresh",
        instance_type="m1.small",
        zone="a",
        region="r",
        addresses=memory_cloud.addresses("10.0.0.7"),
        labels={"example.com/rack": "7", "kubernetes.io/arch": "odd"},
    )
    made.add_machine("node-0")
    return made


def manifest(name: str) -> Node:
    taint = {"key": taints.UNINITIALIZED, "value": "true", "effect": "NoSchedule"}
    other = {"key": "example.com/mine", "effect": "NoSchedule"}
    ready = {"type": "Ready", "status": "True"}
    body: dict[str, Any] = {
        "metadata": {"name": name, "labels": {"kubernetes.io/arch": "amd64"}},
        "spec": {"taints": [taint, other]},
        "status": {
            "addresses": [{"type": "Hostname", "address": name}],
            "conditions": [ready],
        },
    }
    return msgspec.convert(body, Node)


async def create(w: World) -> None:
    await w.client.create(manifest("fresh"))


def is_initialized(w: World) -> bool:
    node = w.find(Node, "fresh", "")
    if node is None or any(one.key == taints.UNINITIALIZED for one in node.spec.taints):
        return False
    labels = node.metadata.labels
    return (
        node.spec.providerID == "memory://fresh"
        and any(one.key == "example.com/mine" for one in node.spec.taints)
        and labels["topology.kubernetes.io/zone"] == "a"
        and labels["failure-domain.beta.kubernetes.io/region"] == "r"
        and labels["node.kubernetes.io/instance-type"] == "m1.small"
        and labels["example.com/rack"] == "7"
        and labels["kubernetes.io/arch"] == "amd64"
        and [(one.type, one.address) for one in node.status.addresses]
        == [("InternalIP", "10.0.0.7"), ("Hostname", "fresh")]
    )


async def move(w: World) -> None:
    change = {"metadata": {"labels": {"failure-domain.beta.kubernetes.io/zone": "b"}}}
    await w.client.patch(Node, "fresh", None, change)


def is_moved(w: World) -> bool:
    node = w.get(Node, "fresh", "")
    return bool(node.metadata.labels["topology.kubernetes.io/zone"] == "b")


CASE = Case(
    name="cloud-node",
    controller="cloud-node-controller",
    steps=(
        Step(act=create, done=is_initialized, seconds=30.0),
        Step(act=move, done=is_moved, seconds=30.0),
    ),
    options={"cloud": cloud, "controllers": ("cloud-node-controller",)},
)
