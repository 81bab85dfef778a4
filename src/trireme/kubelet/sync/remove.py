"""Remove a dead container and its log files.

In: a container's id. Called by sync/execute (init containers that run again) and gc/collector.
Rotated logs of the container are removed too, those of other attempts are not.
"""

from __future__ import annotations

from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.observe.inspect import Inspector


class Remover:
    """Removes containers of one node."""

    def __init__(self, runtime: Runtime, logs: LogFiles, inspector: Inspector) -> None:
        self._runtime = runtime
        self._logs = logs
        self._inspector = inspector

    async def remove(self, container_id: str) -> None:
        """Raises ``RuntimeFailure`` unless the container is gone afterwards."""
        try:
            log_path = (await self._runtime.container_status(container_id)).log_path
            await self._runtime.remove_container(container_id)
        except RuntimeFailure as failure:
            if not failure.not_found:
                raise
            log_path = ""
        self._inspector.forget(container_id)
        if not log_path:
            return
        with self._logs.at(log_path) as (root, path):
            folder, _, name = path.rpartition("/")
            for entry in root.list(folder):
                if entry == name or entry.startswith(f"{name}."):
                    root.remove(f"{folder}/{entry}")
