"""A real node's kubelet, put together: containerd over gRPC, the machine's files and cgroups."""

from __future__ import annotations

import asyncio

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.cluster import access
from trireme.cluster.settings import DNS_ADDRESS, DOMAIN, NodeSettings, Settings
from trireme.kit.env import Env
from trireme.kubelet import component
from trireme.kubelet.cgroups import apply as cgroups
from trireme.kubelet.config import KubeletConfig, ServerConfig
from trireme.kubelet.cri.client import GrpcRuntime
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.node import machine
from trireme.kubelet.probes.sockets import SocketTransport
from trireme.kubelet.server import app
from trireme.runtime.informer import Informers
from trireme.runtime.recorder import EventRecorder


def config(cluster: Settings, node: NodeSettings) -> KubeletConfig:
    """What a node's kubelet is told."""
    identity = f"kubelet.{node.name}"
    return KubeletConfig(
        node_name=node.name,
        node_ips=(node.ip,),
        root_dir=f"{node.state_dir}/kubelet",
        logs_dir=f"{node.state_dir}/pods",
        cgroup_parent=node.cgroup_parent,
        cluster_domain=DOMAIN,
        cluster_dns=(DNS_ADDRESS,),
        server=ServerConfig(
            address=node.ip,
            certificate_file=str(cluster.pki_dir / f"{identity}.crt"),
            key_file=str(cluster.pki_dir / f"{identity}.key"),
            client_ca_file=str(cluster.pki_dir / "ca.crt"),
        ),
    )


async def run(cluster: Settings, node: NodeSettings, env: Env) -> None:
    """Run a node's kubelet until cancelled."""
    identity = f"kubelet.{node.name}"
    async with access.client(cluster, identity, "kubelet") as client, asyncio.TaskGroup() as group:
        host = RealHost()
        informers = Informers(client, env)
        recorder = EventRecorder(client, "kubelet", node.name, env)
        pods = informers.of(Pod, field_selector=f"spec.nodeName={node.name}")
        services = informers.of(Service)
        informers.start(group)
        group.create_task(recorder.run(), name="events")
        runtime = GrpcRuntime(f"unix://{node.containerd_socket}")
        parts = component.Parts(
            client=client,
            pods=pods,
            services=services,
            recorder=recorder,
            runtime=runtime,
            transport=SocketTransport(),
            host=host,
            cgroups=cgroups.detect(env.clock),
            machine=machine.read(host),
            serve=app.serve,
        )
        try:
            await component.run(config(cluster, node), env, parts)
        finally:
            await runtime.close()
