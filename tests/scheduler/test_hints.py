"""Which events may help whom."""

from __future__ import annotations

import pytest

from trireme.api.core.v1.node_types import Node, NodeSpec, NodeStatus
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.selection import Taint
from trireme.domain import scheduling_requests
from trireme.machinery.meta import ObjectMeta
from trireme.scheduler import hints, profile


def node(cpu: str = "1", zone: str = "a", cordoned: bool = False, taint: str = "") -> Node:
    return Node(
        metadata=ObjectMeta(name="n", labels={"zone": zone}),
        spec=NodeSpec(
            unschedulable=cordoned, taints=[Taint(key=taint, effect="NoSchedule")] if taint else []
        ),
        status=NodeStatus(allocatable={"cpu": cpu}),
    )


@pytest.mark.parametrize(
    ("old", "new", "helped"),
    [
        (node(), node(), set()),
        (node(), node(cpu="2"), {"NodeResourcesFit"}),
        (node(), node(cordoned=True), set()),
        (node(cordoned=True), node(), {"NodeUnschedulable"}),
        (node(taint="t"), node(), {"TaintToleration", "NodeUnschedulable", "PodTopologySpread"}),
        (
            node(),
            node(zone="b"),
            {
                "NodeAffinity",
                "PodTopologySpread",
                "InterPodAffinity",
                "VolumeBinding",
                "VolumeZone",
            },
        ),
    ],
)
def test_a_changed_node(old: Node, new: Node, helped: set[str]) -> None:
    assert hints.of_node(old, new) == helped


def test_a_new_node_may_help_every_filter() -> None:
    filters = {plugin.name for plugin, _ in profile.DEFAULT.plugins if plugin.filter is not None}
    assert hints.of_node(None, node()) == filters


def pod(cpu: str = "1", label: str = "a", leaving: str | None = None) -> Pod:
    asked = ResourceRequirements(requests={"cpu": cpu})
    return Pod(
        metadata=ObjectMeta(name="p", labels={"l": label}, deletionTimestamp=leaving),
        spec=PodSpec(containers=[Container(name="c", resources=asked)]),
    )


@pytest.mark.parametrize(
    ("old", "new", "helped"),
    [
        (pod(), pod(), set()),
        (pod(), pod(cpu="500m"), {"NodeResourcesFit"}),
        (pod(), pod(cpu="2"), set()),
        (pod(), pod(label="b"), {"PodTopologySpread", "InterPodAffinity"}),
        (pod(), pod(leaving="2030-01-01T00:00:00Z"), {"PodTopologySpread"}),
    ],
)
def test_a_changed_pod_on_a_node(old: Pod, new: Pod, helped: set[str]) -> None:
    before, after = scheduling_requests.of(old), scheduling_requests.of(new)
    assert hints.of_pod(old, new, before, after) == helped
