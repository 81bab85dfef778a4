"""Rotate container log files.

In: running containers and the size of their logs. Out: rotated files. Run by the component. Rules:
reference "Logs": rename to ``<n>.log.<time>``, compress all but the newest rotated one, keep at
most ``log_max_files`` with the present one, tell the runtime to open a new file.
"""

from __future__ import annotations

import time

from trireme.kit.env import Env
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.cri.model import ContainerState
from trireme.kubelet.host.contract import Root
from trireme.kubelet.logs.files import LogFiles

CHECK_SECONDS = 10.0


class Rotator:
    """Rotates the logs of one node."""

    def __init__(self, env: Env, config: KubeletConfig, runtime: Runtime, logs: LogFiles) -> None:
        self._env = env
        self._config = config
        self._runtime = runtime
        self._logs = logs

    async def run_forever(self) -> None:
        while True:
            await self._env.clock.tick(CHECK_SECONDS)
            try:
                await self.check()
            except (RuntimeFailure, OSError) as failure:
                self._env.log.warning("log rotation failed: %s", failure)

    async def check(self) -> None:
        """One pass over the running containers whose log exceeds the limit."""
        large = self._large()
        if not large:
            return
        for container in await self._runtime.list_containers():
            if container.state != ContainerState.RUNNING:
                continue
            status = await self._runtime.container_status(container.id)
            if status.log_path in large:
                await self._rotate(status.log_path, container.id)

    def _large(self) -> set[str]:
        """Present logs over the limit, by the disk only: usually there are none."""
        found = set()
        with self._logs.at(f"{self._logs.directory}/.") as (root, _):
            for pod in root.list():
                for path in _logs_of(root, pod):
                    info = root.info(path)
                    if info is not None and info.size > self._config.log_max_bytes:
                        found.add(f"{self._logs.directory}/{path}")
        return found

    async def _rotate(self, path: str, container_id: str) -> None:
        suffix = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._env.clock.now()))
        with self._logs.at(path) as (root, name):
            await self._compress_and_drop(root, name)
            rotated = f"{name}.{suffix}"
            root.rename(name, rotated)
            try:
                await self._runtime.reopen_log(container_id)
            except RuntimeFailure:
                # The runtime still writes to the old file: rename it back.
                root.rename(rotated, name)
                raise

    async def _compress_and_drop(self, root: Root, path: str) -> None:
        folder, _, name = path.rpartition("/")
        for entry in root.list(folder):
            if entry.startswith(f"{name}.") and entry.endswith(".tmp"):
                root.remove(f"{folder}/{entry}")
        old = [
            f"{folder}/{entry}"
            for entry in root.list(folder)
            if entry.startswith(f"{name}.") and _is_file(root, f"{folder}/{entry}")
        ]
        # The present file and the newest rotated one count, too.
        keep = max(self._config.log_max_files - 2, 0)
        for entry in old[: len(old) - keep]:
            root.remove(entry)
        for entry in old[len(old) - keep :] if keep else []:
            if not entry.endswith(".gz"):
                await root.gzip(entry, f"{entry}.tmp")
                root.rename(f"{entry}.tmp", f"{entry}.gz")
                root.remove(entry)


def _is_file(root: Root, path: str) -> bool:
    info = root.info(path)
    return info is not None and info.kind == "file"


def _logs_of(root: Root, pod: str) -> list[str]:
    """The log files of a pod's directory; empty if it is not a directory."""
    try:
        return [
            f"{pod}/{container}/{name}"
            for container in root.list(pod)
            for name in root.list(f"{pod}/{container}")
            if name.endswith(".log")
        ]
    except OSError:
        return []
