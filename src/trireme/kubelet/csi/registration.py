"""Registers the CSI drivers whose sockets are in ``plugins_registry``.

In: the folder, read every second. Out: ``Drivers``, the Node's annotation and labels, its CSINode;
each plugin hears whether it was taken. Run by the component. Rules: reference "pluginregistration
v1"; upstream pkg/kubelet/pluginmanager and pkg/volume/csi. Plugins of devices and of dynamic
resource allocation are refused by name.
"""

from __future__ import annotations

import asyncio
import re

from trireme.api.core import v1 as core
from trireme.api.storage import v1 as storage
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet.csi import node_info
from trireme.kubelet.csi.contract import CsiError, NodeInfo, Plugin, Sockets
from trireme.kubelet.csi.drivers import Driver, Drivers
from trireme.kubelet.host.contract import Host
from trireme.machinery import errors
from trireme.machinery.errors import ApiError

PERIOD_SECONDS = 1.0
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 122.0
ATTEMPTS = 5
CSI_PLUGIN = "CSIPlugin"
_VERSION = re.compile(r"v?1(\.\d+){0,2}").fullmatch


class Registration:
    """The registrations of one node."""

    def __init__(
        self,
        env: Env,
        client: Client,
        host: Host,
        sockets: Sockets,
        drivers: Drivers,
        root: str,
        node_name: str,
    ) -> None:
        self._env = env
        self._client = client
        self._host = host
        self._sockets = sockets
        self._drivers = drivers
        self._folder = f"{root}/plugins_registry"
        self._node_name = node_name
        self._known: dict[str, tuple[int, str]] = {}  # socket: its inode, the driver's name
        self._retries: dict[str, tuple[float, float]] = {}  # socket: when, and the next delay
        self._registering: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        self._host.make_dirs(self._folder, 0o750)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._scan(group)
                    await self._env.clock.sleep(PERIOD_SECONDS)
        finally:
            await self._drivers.close()

    async def _scan(self, group: asyncio.TaskGroup) -> None:
        """Register new sockets, and remove the drivers of those that are gone."""
        found = self._found()
        for path, (inode, name) in list(self._known.items()):
            if found.get(path) != inode:
                del self._known[path]
                if all(other != name for _, other in self._known.values()):
                    await self._remove(path, name)
        self._retries = {path: at for path, at in self._retries.items() if path in found}
        now = self._env.clock.monotonic()
        for path, inode in found.items():
            known = path in self._known or path in self._registering
            if not known and now >= self._retries.get(path, (0.0, 0.0))[0]:
                # Each in a task of its own: a plugin may take its time to answer.
                self._registering.add(path)
                group.create_task(self._try(path, inode), name=f"register {path}")

    async def _try(self, path: str, inode: int) -> None:
        try:
            self._known[path] = inode, await self._register(path)
            self._retries.pop(path, None)
        except (CsiError, ApiError, OSError, ValueError) as error:
            delay = self._retries.get(path, (0.0, FIRST_RETRY_SECONDS))[1]
            later = min(delay * 2, LAST_RETRY_SECONDS)
            self._retries[path] = self._env.clock.monotonic() + delay, later
            self._env.log.warning("registering plugin %s failed: %s", path, error)
        finally:
            self._registering.discard(path)

    def _found(self) -> dict[str, int]:
        found = {}
        for name in self._host.list(self._folder):
            path = f"{self._folder}/{name}"
            info = self._host.info(path)
            if not name.startswith(".") and info is not None and info.kind == "socket":
                found[path] = info.inode
        return found

    async def _register(self, path: str) -> str:
        """The driver's name. Raises CsiError, ApiError, ValueError."""
        registrar = self._sockets.registrar(path)
        try:
            plugin = await registrar.plugin()
            problem = _problem(plugin)
            try:
                if problem:
                    raise ValueError(problem)
                await self._take(plugin, path)
            except (CsiError, ApiError, OSError, ValueError) as error:
                await registrar.notify(
                    f"RegisterPlugin error -- plugin registration failed: {error}"
                )
                raise
            await registrar.notify("")
            return plugin.name
        finally:
            await registrar.close()

    async def _take(self, plugin: Plugin, path: str) -> None:
        endpoint = plugin.endpoint or path
        driver = Driver(plugin.name, endpoint, self._sockets.node(endpoint))
        try:
            info = await driver.service.info()
            if not info.node_id:
                raise ValueError(
                    "error adding CSI driver node info: driverNodeID must not be empty"
                )
            await self._write(plugin.name, info)
        except BaseException:
            await driver.service.close()
            raise
        before = self._drivers.add(driver)
        if before is not None:
            await before.service.close()

    async def _remove(self, path: str, name: str) -> None:
        driver = self._drivers.remove(name)
        if driver is not None:
            await driver.service.close()
        try:
            await self._write(name, None)
        except (ApiError, OSError, ValueError) as error:
            self._env.log.warning("removing plugin %s of %s failed: %s", path, name, error)

    async def _write(self, driver: str, info: NodeInfo | None) -> None:
        """Bring the Node and the CSINode up to date, with retries after conflicts."""
        for attempt in range(ATTEMPTS):
            try:
                node = await self._client.get(core.Node, self._node_name)
                change = node_info.node_patch(node, driver, info)
                if change is not None:
                    await self._client.patch(core.Node, self._node_name, None, change, kind="merge")
                await self._write_csi_node(node, driver, info)
                return
            except ApiError as error:
                again = errors.is_conflict(error) or errors.is_already_exists(error)
                if not again or attempt == ATTEMPTS - 1:
                    raise

    async def _write_csi_node(self, node: core.Node, driver: str, info: NodeInfo | None) -> None:
        try:
            known: storage.CSINode = await self._client.get(storage.CSINode, self._node_name)
        except ApiError as error:
            if not errors.is_not_found(error):
                raise
            if info is None:
                return
            known = await self._client.create(node_info.csi_node(node))
        changed = node_info.with_driver(known, driver, info)
        if changed is not None:
            await self._client.update(changed)


def _problem(plugin: Plugin) -> str:
    if plugin.type != CSI_PLUGIN:
        return f"no handler registered for plugin type: {plugin.type} at socket {plugin.name}"
    if not plugin.versions:
        return (
            f'CSI driver "{plugin.name}" failed. Plugin returned an empty list for supported '
            "versions"
        )
    if not any(_VERSION(version) for version in plugin.versions):
        return (
            f'CSI driver "{plugin.name}" failed. None of the versions specified '
            f"{list(plugin.versions)} are supported"
        )
    return ""
