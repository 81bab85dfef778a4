"""A CSI driver in memory, with its registrar's socket."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from trireme.kubelet.csi import contract
from trireme.kubelet.csi.contract import CsiError, NodeInfo, NodeService, Plugin, Registrar, Usage
from trireme.kubelet.host.memory import MemoryHost

NAME = "d.example.com"
REGISTRY = "/var/lib/kubelet/plugins_registry"
ALL = frozenset({contract.STAGE_UNSTAGE, contract.STATS, contract.EXPAND})


class Driver:
    """A driver of one node. ``calls`` in order; ``errors``: the next answer of a call;
    ``hanging``: sockets of registrars that never answer."""

    def __init__(self, *capabilities: str, info: NodeInfo | None = None) -> None:
        self.can = frozenset(capabilities) if capabilities else ALL
        self.node_info = info or NodeInfo("the-node", 3, {"topology.example.com/rack": "r1"})
        self.host = MemoryHost()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, CsiError] = {}
        self.notified: list[str] = []
        self.plugin = Plugin("CSIPlugin", NAME, "/csi.sock", ("1.0.0",))
        self.hanging: set[str] = set()
        self.published: set[str] = set()
        self.staged: set[str] = set()
        self._sockets = itertools.count()

    def start(self, host: MemoryHost) -> str:
        """Listen on the node; the path of the registrar's socket."""
        self.host = host
        host.make_dirs(REGISTRY)
        path = f"{REGISTRY}/{NAME}-{next(self._sockets)}.sock"
        host.make_socket(path)
        return path

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def last(self, name: str) -> dict[str, Any]:
        return [given for known, given in self.calls if known == name][-1]

    # ---- Sockets

    def registrar(self, path: str) -> Registrar:
        return _Registrar(self, path in self.hanging)

    def node(self, endpoint: str) -> NodeService:
        assert endpoint == "/csi.sock"
        return self

    # ---- NodeService

    async def info(self) -> NodeInfo:
        return self.node_info

    async def capabilities(self) -> frozenset[str]:
        return self.can

    async def stage(self, volume: contract.Volume, staging: str) -> None:
        self._call("stage", volume=volume, staging=staging)
        assert self.host.info(staging) is not None
        self.staged.add(staging)

    async def unstage(self, volume_id: str, staging: str) -> None:
        self._call("unstage", id=volume_id, staging=staging)
        self.staged.discard(staging)

    async def publish(
        self, volume: contract.Volume, staging: str, target: str, *, read_only: bool
    ) -> None:
        self._call("publish", volume=volume, staging=staging, target=target, read_only=read_only)
        assert not staging or staging in self.staged
        self.host.make_dirs(target)
        if not volume.capability.block:
            self.host.mounts[target] = NAME
        self.published.add(target)

    async def unpublish(self, volume_id: str, target: str) -> None:
        self._call("unpublish", id=volume_id, target=target)
        self.host.mounts.pop(target, None)
        self.published.discard(target)

    async def expand(self, volume: contract.Volume, staging: str, path: str, size: int) -> None:
        self._call("expand", volume=volume, staging=staging, path=path, size=size)

    async def stats(self, volume_id: str, staging: str, path: str) -> list[Usage]:
        self._call("stats", id=volume_id, path=path)
        return [Usage("BYTES", 60, 100, 40), Usage("INODES", 6, 10, 4)]

    async def close(self) -> None:
        return

    def _call(self, name: str, **given: Any) -> None:
        self.calls.append((name, given))
        error = self.errors.pop(name, None)
        if error is not None:
            raise error


class _Registrar:
    def __init__(self, driver: Driver, hangs: bool) -> None:
        self._driver = driver
        self._hangs = hangs

    async def plugin(self) -> Plugin:
        if self._hangs:
            await asyncio.get_running_loop().create_future()
        return self._driver.plugin

    async def notify(self, error: str) -> None:
        self._driver.notified.append(error)

    async def close(self) -> None:
        return
