"""The interface of a container runtime.

In: ``cri.model`` values. Out: the same, or ``RuntimeFailure``. Implemented by ``cri/client.py``
(gRPC to containerd, CRI-O) and by ``trireme.testing.fake_cri`` (in memory). Called by observe,
sync/execute, images, gc, probes, server and node.

Life cycle: the maker of a Runtime owns it and calls ``close``; every call may be cancelled, and a
cancelled call may or may not have taken effect: callers read the state again before they act.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from trireme.kubelet.cri import model


class RuntimeFailure(Exception):
    """The runtime refused or failed. ``code`` is gRPC's status name: NOT_FOUND, UNAVAILABLE ..."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def not_found(self) -> bool:
        return self.code == "NOT_FOUND"

    def __str__(self) -> str:
        """As Go's gRPC prints it, because users read and grep these texts in events."""
        return f"rpc error: code = {GO_CODES.get(self.code, self.code)} desc = {self.message}"


GO_CODES = {
    "CANCELLED": "Canceled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "UNAVAILABLE": "Unavailable",
    "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated",
}


class Runtime(Protocol):
    """CRI v1. Timeouts are seconds; ids are the runtime's own."""

    async def version(self) -> model.Version: ...

    async def status(self) -> model.Status: ...

    async def cgroup_driver(self) -> str:
        """``systemd``, ``cgroupfs``, or ``""`` when the runtime cannot say."""
        ...

    async def update_pod_cidr(self, cidr: str) -> None: ...

    async def run_sandbox(self, config: model.SandboxConfig, handler: str = "") -> str: ...

    async def stop_sandbox(self, sandbox_id: str) -> None: ...

    async def remove_sandbox(self, sandbox_id: str) -> None: ...

    async def sandbox_status(self, sandbox_id: str) -> model.SandboxStatus: ...

    async def list_sandboxes(self, pod_uid: str = "") -> list[model.Sandbox]: ...

    async def create_container(
        self, sandbox_id: str, config: model.ContainerConfig, sandbox: model.SandboxConfig
    ) -> str: ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, timeout: int) -> None:
        """Stop signal, then SIGKILL after ``timeout`` seconds. Returns when the process is gone."""
        ...

    async def remove_container(self, container_id: str) -> None: ...

    async def container_status(self, container_id: str) -> model.ContainerStatus: ...

    async def list_containers(self, pod_uid: str = "") -> list[model.Container]: ...

    async def update_resources(self, container_id: str, linux: model.LinuxResources) -> None: ...

    async def reopen_log(self, container_id: str) -> None: ...

    async def exec_sync(
        self, container_id: str, command: list[str], timeout: float
    ) -> model.ExecResult:
        """Run to the end; 0 for no limit. Raises DEADLINE_EXCEEDED when the time is over."""
        ...

    async def exec_url(
        self,
        container_id: str,
        command: list[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str: ...

    async def attach_url(
        self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: list[int]) -> str: ...

    async def network_namespace(self, sandbox_id: str) -> str | None:
        """The path of a sandbox's network namespace, empty where it is the node's; None where the
        runtime does not say."""
        ...

    async def list_images(self) -> list[model.Image]: ...

    async def image_status(self, image: str) -> model.Image | None: ...

    async def pull_image(
        self, image: model.ImageSpec, auth: model.AuthConfig | None, sandbox: model.SandboxConfig
    ) -> str:
        """The pulled image's reference."""
        ...

    async def mounts_images(self) -> bool:
        """Whether a container's mount may name an image (CRI's ``Mount.image``)."""
        ...

    async def view_image(self, key: str, image_id: str) -> list[model.ImageMount]:
        """A read-only view of an image's content, named ``key``, which holds the content until
        ``remove_view``. UNIMPLEMENTED where the runtime has no such thing."""
        ...

    async def remove_view(self, key: str) -> None:
        """Nothing when it is not there."""
        ...

    async def remove_image(self, image: str) -> None: ...

    async def image_fs_info(
        self,
    ) -> tuple[list[model.FilesystemUsage], list[model.FilesystemUsage]]:
        """The file systems of images, and of containers' writable layers."""
        ...

    async def list_stats(self) -> list[model.ContainerStats]: ...

    def events(self) -> AsyncIterator[model.ContainerEvent]:
        """Container changes as they happen; raises UNIMPLEMENTED where the runtime has none."""
        ...

    async def close(self) -> None: ...
