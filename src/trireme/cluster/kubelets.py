"""The composition of a real node's kubelet: containerd over gRPC, real files and cgroups."""

from __future__ import annotations

import msgspec

from trireme.api.core.v1.node_types import Node, NodeStatus
from trireme.cluster import access
from trireme.cluster.settings import DOMAIN, NodeSettings, Settings
from trireme.kit.env import Env
from trireme.kubelet import run as kubelet
from trireme.kubelet import thresholds
from trireme.kubelet.config import EvictionConfig, KubeletConfig, ServerConfig
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.node import machine, status


def config(cluster: Settings, node: NodeSettings) -> KubeletConfig:
    """The configuration of a node's kubelet."""
    identity = f"kubelet.{node.name}"
    return KubeletConfig(
        node_name=node.name,
        node_ips=(node.ip,),
        root_dir=f"{node.state_dir}/kubelet",
        logs_dir=f"{node.state_dir}/pods",
        cgroup_parent=node.cgroup_parent,
        cluster_domain=DOMAIN,
        cluster_dns=node.dns or (cluster.dns_address,),
        external_cloud=True,
        eviction=EvictionConfig(
            hard={**thresholds.HARD, thresholds.NODEFS: "5%", thresholds.IMAGEFS: "5%"}
        ),
        provider_id=cluster.provider_id(node.name),
        server=ServerConfig(
            address=node.ip,
            certificate_file=str(cluster.pki_dir / f"{identity}.crt"),
            key_file=str(cluster.pki_dir / f"{identity}.key"),
            client_ca_file=str(cluster.pki_dir / "ca.crt"),
        ),
    )


def template(cluster: Settings, labels: dict[str, str]) -> Node:
    """The Node that a further kubelet would register."""
    host = RealHost()
    here = machine.read(host)
    like = msgspec.structs.replace(config(cluster, cluster.nodes[0]), node_name="", labels=labels)
    total = status.capacity(like, here, host.disk_usage("/"))
    made = status.node(like, here, NodeStatus(capacity=total))
    made.status.allocatable = status.allocatable(like, total)
    del made.metadata.labels["kubernetes.io/hostname"]
    made.spec.taints, made.spec.providerID = [], ""
    return made


async def run(cluster: Settings, node: NodeSettings, env: Env) -> None:
    """Run a node's kubelet until cancelled."""
    async with access.client(cluster, f"kubelet.{node.name}", "kubelet") as client:
        await kubelet.run(config(cluster, node), env, client, f"unix://{node.containerd_socket}")
