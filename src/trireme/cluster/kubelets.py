"""The composition of a real node's kubelet: containerd over gRPC, real files and cgroups."""

from __future__ import annotations

from trireme.cluster import access
from trireme.cluster.settings import DOMAIN, NodeSettings, Settings
from trireme.kit.env import Env
from trireme.kubelet import run as kubelet
from trireme.kubelet.config import KubeletConfig, ServerConfig


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
        cluster_dns=(cluster.dns_address,),
        external_cloud=True,
        provider_id=cluster.provider_id(node.name),
        server=ServerConfig(
            address=node.ip,
            certificate_file=str(cluster.pki_dir / f"{identity}.crt"),
            key_file=str(cluster.pki_dir / f"{identity}.key"),
            client_ca_file=str(cluster.pki_dir / "ca.crt"),
        ),
    )


async def run(cluster: Settings, node: NodeSettings, env: Env) -> None:
    """Run a node's kubelet until cancelled."""
    async with access.client(cluster, f"kubelet.{node.name}", "kubelet") as client:
        await kubelet.run(config(cluster, node), env, client, f"unix://{node.containerd_socket}")
