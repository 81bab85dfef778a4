"""Pods on real nodes without a kubelet: what the tests of `cluster.hosts` start.

In: a `Node` of `LocalHosts`.  Out: running containers, made through CRI as a kubelet would make
them.  Called by tests in `tests/interop`.
"""

import asyncio
from pathlib import Path
from types import TracebackType

import msgspec

from trireme.cluster.hosts.local import Node
from trireme.kubelet.cri import model
from trireme.kubelet.cri.client import GrpcRuntime

BUSYBOX = "docker.io/library/busybox:stable"


class Pod(msgspec.Struct, frozen=True):
    sandbox: str
    container: str
    ip: str


class PodRunner:
    """Starts pods of one container on a node.  Use as an async context manager."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.runtime = GrpcRuntime(node.containerd_socket)

    async def __aenter__(self) -> "PodRunner":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.runtime.close()

    async def run(
        self, name: str, script: str, *, servers: list[str] | None = None, image: str = BUSYBOX
    ) -> Pod:
        """Starts a pod whose container runs a shell script; `servers` is its resolv.conf."""
        logs = Path(self._node.state_dir, "pods", name)
        await asyncio.to_thread(logs.mkdir, parents=True, exist_ok=True)
        sandbox = model.SandboxConfig(
            metadata=model.SandboxMetadata(name=name, uid=f"uid-{name}", namespace="default"),
            hostname=name,
            log_directory=str(logs),
            dns_config=model.DNSConfig(servers=servers or []),
            linux=model.LinuxSandboxConfig(cgroup_parent=f"{self._node.cgroup_parent}/pod-{name}"),
        )
        sandbox_id = await self.runtime.run_sandbox(sandbox)
        container = model.ContainerConfig(
            metadata=model.ContainerMetadata(name="main"),
            image=model.ImageSpec(image=image),
            command=["sh", "-c", script],
            log_path="main.log",
            linux=model.LinuxContainerConfig(
                resources=model.LinuxResources(memory_limit_in_bytes=64 << 20)
            ),
        )
        container_id = await self.runtime.create_container(sandbox_id, container, sandbox)
        await self.runtime.start_container(container_id)
        status = await self.runtime.sandbox_status(sandbox_id)
        if status.network is None:
            raise RuntimeError(f"pod {name} has no network")
        return Pod(sandbox_id, container_id, status.network.ip)

    async def shell(self, pod: Pod, script: str, timeout: float = 5) -> tuple[int, str]:
        """Runs a script in the pod's container: its exit code and all that it wrote."""
        result = await self.runtime.exec_sync(
            pod.container, ["sh", "-c", f"{{ {script}; }} 2>&1"], timeout
        )
        return result.exit_code, result.stdout.decode().strip()
