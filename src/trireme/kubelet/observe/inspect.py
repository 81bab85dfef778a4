"""The observed state of one pod.

In: a pod UID. Out: ``ObservedPod``. Called by workers before and after each round, by gc and
server. Rules: reference "Logs" (termination messages). Everything comes from CRI labels and
annotations, so that a restarted kubelet finds the containers of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping

from trireme.kubelet import labels
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.cri.model import ContainerState, NamespaceMode
from trireme.kubelet.host.contract import Host
from trireme.kubelet.logs import parse
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.observe.model import ObservedContainer, ObservedPod, ObservedSandbox

MESSAGE_LIMIT = 4096
LOG_BYTES = 2048
LOG_LINES = 80


class Inspector:
    """Reads pods from the runtime. Caches ended containers, which never change again."""

    def __init__(self, runtime: Runtime, host: Host, logs: LogFiles) -> None:
        self._runtime = runtime
        self._host = host
        self._logs = logs
        self._ended: dict[str, ObservedContainer] = {}

    async def pod(self, uid: str) -> ObservedPod:
        """The pod's sandboxes and containers. Raises ``RuntimeFailure``."""
        listed = await self._runtime.list_sandboxes(uid)
        if not listed:
            return ObservedPod(uid=uid)
        sandboxes = [await self._sandbox(item) for item in listed]
        containers = [
            await self._container(item) for item in await self._runtime.list_containers(uid)
        ]
        meta = listed[0].metadata
        return ObservedPod(
            uid=uid,
            namespace=meta.namespace,
            name=meta.name,
            sandboxes=tuple(
                sorted(
                    (s for s in sandboxes if s is not None),
                    key=lambda s: (-s.created_at, -s.attempt),
                )
            ),
            containers=tuple(
                sorted(
                    (c for c in containers if c is not None),
                    key=lambda c: (-c.created_at, -c.restart_count),
                )
            ),
        )

    def forget(self, container_id: str) -> None:
        self._ended.pop(container_id, None)

    async def _sandbox(self, item: model.Sandbox) -> ObservedSandbox | None:
        try:
            status = await self._runtime.sandbox_status(item.id)
        except RuntimeFailure as failure:
            if failure.not_found:
                return None
            raise
        ips: tuple[str, ...] = ()
        if status.network is not None and status.network.ip:
            ips = (status.network.ip, *(more.ip for more in status.network.additional_ips))
        mode = int(NamespaceMode.POD)
        if (
            status.linux is not None
            and status.linux.namespaces is not None
            and status.linux.namespaces.options is not None
        ):
            mode = status.linux.namespaces.options.network
        return ObservedSandbox(
            id=status.id,
            attempt=status.metadata.attempt,
            state=status.state,
            created_at=status.created_at,
            ips=ips,
            network_mode=mode,
        )

    async def _container(self, item: model.Container) -> ObservedContainer | None:
        known = self._ended.get(item.id)
        if known is not None:
            return known
        try:
            status = await self._runtime.container_status(item.id)
        except RuntimeFailure as failure:
            if failure.not_found:
                return None
            raise
        observed = self._convert(status, item.pod_sandbox_id)
        if observed.exited:
            self._ended[item.id] = observed
        return observed

    def _convert(self, status: model.ContainerStatus, sandbox_id: str) -> ObservedContainer:
        notes = status.annotations
        exited = status.state == ContainerState.EXITED
        message = ""
        if exited:
            # The runtime's error, and the container's own termination message.
            parts = (status.message, self._termination_message(status, notes))
            message = ": ".join(part for part in parts if part)
        return ObservedContainer(
            id=status.id,
            name=status.labels.get(labels.CONTAINER_NAME, status.metadata.name),
            state=status.state,
            sandbox_id=sandbox_id,
            created_at=status.created_at,
            started_at=0 if status.state == ContainerState.CREATED else status.started_at,
            finished_at=status.finished_at if exited else 0,
            exit_code=status.exit_code if exited else 0,
            reason=_reason(status) if exited else "",
            message=message,
            image=status.image.user_specified_image or status.image.image if status.image else "",
            image_ref=status.image_ref or status.image_id,
            spec_hash=notes.get(labels.HASH, ""),
            restart_count=int(notes.get(labels.RESTART_COUNT, "0") or 0),
            log_path=status.log_path,
            user=status.user.linux if status.user is not None else None,
            resources=status.resources.linux if status.resources is not None else None,
        )

    def _termination_message(self, status: model.ContainerStatus, notes: Mapping[str, str]) -> str:
        path = notes.get(labels.MESSAGE_PATH, "")
        mounted = next((m.host_path for m in status.mounts if m.container_path == path), "")
        text = ""
        if path and mounted:
            try:
                text = self._host.read_tail(mounted, MESSAGE_LIMIT).decode("utf-8", "replace")
            except FileNotFoundError:
                text = ""
            except OSError as error:
                # A volume may be mounted there: any kind of file.
                return f"Error on reading termination log {mounted}: {error.strerror}"
        if (
            not text
            and status.exit_code != 0
            and status.reason != "ContainerCannotRun"
            and status.log_path
            and notes.get(labels.MESSAGE_POLICY) == "FallbackToLogsOnError"
        ):
            text = self._last_log(status.log_path)
        return text

    def _last_log(self, path: str) -> str:
        try:
            # Each line has a prefix of about 42 bytes, which does not count towards the limit.
            raw = self._logs.tail(path, LOG_BYTES + LOG_LINES * 64)
        except OSError as error:
            return f"Error on reading termination message from logs: {error.strerror}: {path}"
        lines = [line.text for line in parse.lines(raw)][-LOG_LINES:]
        return b"".join(lines)[-LOG_BYTES:].decode("utf-8", "replace")


def _reason(status: model.ContainerStatus) -> str:
    if status.reason:
        return status.reason
    return "Completed" if status.exit_code == 0 else "Error"
