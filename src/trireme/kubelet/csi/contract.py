"""The node service of a CSI driver.

In: volumes, paths, secrets. Out: what the driver did, or ``CsiError``. Implemented by
``csi/client.py``; tests have drivers in memory. Rules: the CSI specification v1, "Node Service".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from trireme.kubelet.cri.contract import GO_CODES

STAGE_UNSTAGE = "STAGE_UNSTAGE_VOLUME"
STATS = "GET_VOLUME_STATS"
EXPAND = "EXPAND_VOLUME"
MULTI_WRITER = "SINGLE_NODE_MULTI_WRITER"
MOUNT_GROUP = "VOLUME_MOUNT_GROUP"
# After these the driver may still be at work.
UNFINISHED = frozenset({
    "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED",
})  # fmt: skip
INFEASIBLE = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE", "NOT_FOUND"})


class CsiError(Exception):
    """The driver refused or failed. ``code`` is gRPC's status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """As Go's gRPC prints it, because users read and grep these texts in events."""
        return f"rpc error: code = {GO_CODES.get(self.code, self.code)} desc = {self.message}"


class NodeInfo(msgspec.Struct, frozen=True):
    """``limit``: volumes per node, 0 for any number. ``topology``: where the node is, by label."""

    node_id: str
    limit: int = 0
    topology: dict[str, str] = {}


class Capability(msgspec.Struct, frozen=True):
    """How a volume is used. ``access_mode`` is a name of CSI's; ``group``: a file-system group that
    the driver sets."""

    access_mode: str
    block: bool = False
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    group: str = ""


class Volume(msgspec.Struct, frozen=True):
    """The arguments that staging and publishing share. ``publish_context``: what attaching gave."""

    id: str
    capability: Capability
    publish_context: Mapping[str, str] = {}
    context: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}


class Usage(msgspec.Struct, frozen=True):
    """``unit``: BYTES or INODES."""

    unit: str
    available: int
    total: int
    used: int


class NodeService(Protocol):
    """One driver."""

    async def info(self) -> NodeInfo: ...

    async def capabilities(self) -> frozenset[str]: ...

    async def stage(self, volume: Volume, staging: str) -> None: ...

    async def unstage(self, volume_id: str, staging: str) -> None: ...

    async def publish(
        self, volume: Volume, staging: str, target: str, *, read_only: bool
    ) -> None: ...

    async def unpublish(self, volume_id: str, target: str) -> None: ...

    async def expand(self, volume: Volume, staging: str, path: str, size: int) -> None:
        """``size`` in bytes."""
        ...

    async def stats(self, volume_id: str, staging: str, path: str) -> list[Usage]: ...

    async def close(self) -> None: ...


class Plugin(msgspec.Struct, frozen=True):
    """What a socket in ``plugins_registry`` says of itself."""

    type: str
    name: str
    endpoint: str
    versions: tuple[str, ...]


class Registrar(Protocol):
    """A socket in ``plugins_registry``."""

    async def plugin(self) -> Plugin: ...

    async def notify(self, error: str) -> None:
        """ "" when the plugin is registered."""
        ...

    async def close(self) -> None: ...


class Sockets(Protocol):
    """Connects to plugins; ``csi.client`` on a real node."""

    def registrar(self, path: str) -> Registrar: ...

    def node(self, endpoint: str) -> NodeService: ...
