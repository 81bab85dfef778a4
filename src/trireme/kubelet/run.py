"""A kubelet on a real machine.

In: ``KubeletConfig``, an ``Env``, a client with the node's identity, the runtime's endpoint. Out:
the running component. Called by the composition root; in-process nodes use ``component.run`` with
other parts.
"""

from __future__ import annotations

from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet import component
from trireme.kubelet.cgroups import apply
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri.client import GrpcRuntime
from trireme.kubelet.csi.client import GrpcSockets
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.node import machine
from trireme.kubelet.probes.sockets import SocketTransport
from trireme.kubelet.server import app


async def run(config: KubeletConfig, env: Env, client: Client, endpoint: str) -> None:
    """Until cancelled. ``endpoint``: ``unix:///run/containerd/containerd.sock``, or a path."""
    host = RealHost()
    runtime, transport = GrpcRuntime(endpoint), SocketTransport()
    try:
        await component.run(
            config,
            env,
            component.Parts(
                client=client,
                runtime=runtime,
                transport=transport,
                host=host,
                cgroups=apply.detect(env.clock),
                machine=machine.read(host),
                sockets=GrpcSockets(),
                serve=app.serve if config.server is not None else None,
            ),
        )
    finally:
        await transport.close()
        await runtime.close()
