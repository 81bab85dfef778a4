"""A kubelet whose node is initialised by a cloud (``--cloud-provider external``)."""

from __future__ import annotations

import msgspec

from trireme.api.core import v1 as core
from trireme.cloud import taints
from trireme.cloud.nodes import plan_node
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.node import status
from trireme.kubelet.node.machine import Machine

CONFIG = KubeletConfig(
    node_name="n",
    node_ips=("10.0.0.1", "fd00::1"),
    external_cloud=True,
    provider_id="example://1",
    taints=(("a", "", "NoExecute"),),
)


def facts(config: KubeletConfig) -> status.Facts:
    return status.Facts(
        config=config,
        machine=Machine(),
        health=status.Health(),
        version=model.Version(),
        runtime=model.Status(),
    )


def test_it_registers_with_a_taint_and_its_own_addresses():
    first = status.status(facts(CONFIG), core.NodeStatus())
    node = status.node(CONFIG, Machine(), first)
    assert [(one.key, one.value, one.effect) for one in node.spec.taints] == [
        ("a", "", "NoExecute"),
        (taints.UNINITIALIZED, "true", "NoSchedule"),
    ]
    assert node.metadata.annotations[plan_node.PROVIDED_IP] == "10.0.0.1,fd00::1"
    assert node.spec.providerID == "example://1"
    assert [one.address for one in node.status.addresses] == ["10.0.0.1", "fd00::1", "n"]


def test_the_clouds_addresses_stay():
    given = [core.NodeAddress(type="ExternalIP", address="192.0.2.1")]
    before = core.NodeStatus(addresses=given)
    assert status.status(facts(CONFIG), before).addresses == given
    alone = msgspec.structs.replace(CONFIG, external_cloud=False)
    assert status.status(facts(alone), before).addresses == status.addresses(alone)
    node = status.node(alone, Machine(), before)
    assert plan_node.PROVIDED_IP not in node.metadata.annotations
    assert [one.key for one in node.spec.taints] == ["a"]
