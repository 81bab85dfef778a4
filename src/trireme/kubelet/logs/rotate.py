"""Keep container log files small.

In: running containers and the size of their logs. Out: rotated files. Run by the component. Rules:
reference "Logs": rename to ``<n>.log.<time>``, compress all but the newest rotated one, keep at
most ``log_max_files`` with the present one, tell the runtime to open a new file.
"""

from __future__ import annotations

import gzip
import time

from trireme.kit.env import Env
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.cri.model import ContainerState
from trireme.kubelet.host.contract import Host

CHECK_SECONDS = 10.0


class Rotator:
    """Rotates the logs of one node."""

    def __init__(self, env: Env, config: KubeletConfig, runtime: Runtime, host: Host) -> None:
        self._env = env
        self._config = config
        self._runtime = runtime
        self._host = host

    async def run_forever(self) -> None:
        while True:
            await self._env.clock.sleep(CHECK_SECONDS)
            try:
                await self.check()
            except (RuntimeFailure, OSError) as failure:
                self._env.log.warning("log rotation failed: %s", failure)

    async def check(self) -> None:
        """One pass over every running container whose directory holds a large file."""
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
        """Present logs over the limit. Looks at the disk only: most of the time there is none."""
        found = set()
        base = self._config.logs_dir
        for pod in self._host.list(base):
            for container in self._host.list(f"{base}/{pod}"):
                for name in self._host.list(f"{base}/{pod}/{container}"):
                    path = f"{base}/{pod}/{container}/{name}"
                    info = self._host.info(path) if name.endswith(".log") else None
                    if info is not None and info.size > self._config.log_max_bytes:
                        found.add(path)
        return found

    async def _rotate(self, path: str, container_id: str) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._env.clock.now()))
        self._compress_and_drop(path)
        rotated = f"{path}.{stamp}"
        self._host.rename(path, rotated)
        try:
            await self._runtime.reopen_log(container_id)
        except RuntimeFailure:
            # The runtime still writes to the old file: give it its name back, lose nothing.
            self._host.rename(rotated, path)
            raise

    def _compress_and_drop(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        old = [
            f"{folder}/{entry}"
            for entry in self._host.list(folder)
            if entry.startswith(f"{name}.") and not entry.endswith(".tmp")
        ]
        # The present file and the one that it becomes count, too.
        keep = max(self._config.log_max_files - 2, 0)
        for entry in old[: len(old) - keep]:
            self._host.remove(entry)
        for entry in old[len(old) - keep :] if keep else []:
            if not entry.endswith(".gz"):
                self._host.write(f"{entry}.tmp", gzip.compress(self._host.read(entry), 6))
                self._host.rename(f"{entry}.tmp", f"{entry}.gz")
                self._host.remove(entry)
