"""The CSI drivers of a node, by name.

In: registrations. Out: the driver to call, and what it can do. Called by ``csi/registration`` and
by the CSI volume plugin. Keeps what a driver says of its capabilities: it cannot change without
a new registration.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from trireme.kubelet.csi.contract import NodeService


class Driver:
    """One registered driver."""

    def __init__(self, name: str, endpoint: str, service: NodeService) -> None:
        self.name = name
        self.endpoint = endpoint
        self.service = service
        self._capabilities: frozenset[str] | None = None

    async def can(self, capability: str) -> bool:
        """Raises ``CsiError``."""
        if self._capabilities is None:
            self._capabilities = await self.service.capabilities()
        return capability in self._capabilities


class Drivers:
    """Registered drivers. ``lock``: one for each volume, as staging it and its last unstaging must
    not overlap."""

    def __init__(self) -> None:
        self._drivers: dict[str, Driver] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def get(self, name: str) -> Driver | None:
        return self._drivers.get(name)

    def add(self, driver: Driver) -> Driver | None:
        """Returns the driver that had the name before."""
        before = self._drivers.get(driver.name)
        self._drivers[driver.name] = driver
        return before

    def remove(self, name: str) -> Driver | None:
        return self._drivers.pop(name, None)

    def lock(self, volume: str) -> asyncio.Lock:
        return self._locks[volume]

    def unlock(self, volume: str) -> None:
        """The volume is no longer on the node."""
        self._locks.pop(volume, None)

    async def close(self) -> None:
        for driver in self._drivers.values():
            await driver.service.close()
