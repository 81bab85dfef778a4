"""The observed state of a pod: sandboxes and containers of the runtime, newest first.

In: CRI answers (``observe/inspect``). Out: ``ObservedPod``, an argument of every decision.
Called by sync/plan, status/compute, gc, server. Pure. Times are nanoseconds since the epoch.
"""

from __future__ import annotations

import msgspec

from trireme.kubelet.cri import model
from trireme.kubelet.cri.model import ContainerState, SandboxState


class ObservedContainer(msgspec.Struct, frozen=True, kw_only=True):
    """One container of the runtime, running or not."""

    id: str
    name: str
    state: int = ContainerState.UNKNOWN
    sandbox_id: str = ""
    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_ref: str = ""
    spec_hash: str = ""
    restart_count: int = 0
    log_path: str = ""
    user: model.LinuxContainerUser | None = None
    # What is in force, where the runtime says so.
    resources: model.LinuxResources | None = None

    @property
    def running(self) -> bool:
        return self.state == ContainerState.RUNNING

    @property
    def exited(self) -> bool:
        return self.state == ContainerState.EXITED


class ObservedSandbox(msgspec.Struct, frozen=True, kw_only=True):
    """One sandbox; ``ips`` is empty for host network and while the network is being set up."""

    id: str
    attempt: int = 0
    state: int = SandboxState.READY
    created_at: int = 0
    ips: tuple[str, ...] = ()
    network_mode: int = model.NamespaceMode.POD

    @property
    def ready(self) -> bool:
        return self.state == SandboxState.READY


class ObservedPod(msgspec.Struct, frozen=True, kw_only=True):
    """All sandboxes and containers of one pod UID."""

    uid: str
    namespace: str = ""
    name: str = ""
    sandboxes: tuple[ObservedSandbox, ...] = ()
    containers: tuple[ObservedContainer, ...] = ()

    @property
    def ips(self) -> tuple[str, ...]:
        """The IPs of the newest sandbox while it is ready."""
        if self.sandboxes and self.sandboxes[0].ready:
            return self.sandboxes[0].ips
        return ()

    @property
    def running(self) -> tuple[ObservedContainer, ...]:
        return tuple(observed for observed in self.containers if observed.running)

    def latest(self, name: str) -> ObservedContainer | None:
        """The newest container of that name."""
        return next((observed for observed in self.containers if observed.name == name), None)

    def instances(self, name: str) -> tuple[ObservedContainer, ...]:
        """Every container of that name, newest first."""
        return tuple(observed for observed in self.containers if observed.name == name)
