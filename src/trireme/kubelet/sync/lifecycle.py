"""Container hooks: postStart and preStop.

In: a handler, a container. Out: nothing, or ``HookFailure``. Called by sync/execute and sync/kill.
Rules: concepts/containers/container-lifecycle-hooks; KEP-3960 (sleep).
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.probes.run import OUTPUT_LIMIT, ProbeFailure, Prober

HTTP_TIMEOUT = 30.0


class HookFailure(Exception):
    """The hook failed. The text may contain secrets and must not be put into an event."""


class Hooks:
    """Runs handlers. Stateless."""

    def __init__(self, env: Env, runtime: Runtime, prober: Prober) -> None:
        self._env = env
        self._runtime = runtime
        self._prober = prober

    async def run(
        self,
        handler: core.LifecycleHandler,
        container: core.Container,
        container_id: str,
        pod_ip: str,
    ) -> None:
        """Returns when the hook is done; the caller limits the time. Raises ``HookFailure``."""
        if handler.exec is not None:
            await self._exec(handler.exec, container, container_id)
        elif handler.httpGet is not None:
            try:
                await self._prober.http_hook(handler.httpGet, container, pod_ip, HTTP_TIMEOUT)
            except ProbeFailure as failure:
                raise HookFailure(
                    f"HTTP lifecycle hook ({handler.httpGet.path}) for Container "
                    f'"{container.name}" failed - error: {failure}'
                ) from failure
        elif handler.sleep is not None:
            await self._env.clock.sleep(handler.sleep.seconds)
        else:
            raise HookFailure("Cannot run handler: tcpSocket hooks are not supported")

    async def _exec(
        self, action: core.ExecAction, container: core.Container, container_id: str
    ) -> None:
        what = f'Exec lifecycle hook ({list(action.command)}) for Container "{container.name}"'
        try:
            result = await self._runtime.exec_sync(container_id, list(action.command), 0)
        except RuntimeFailure as failure:
            raise HookFailure(f"{what} failed - error: {failure}") from failure
        if result.exit_code != 0:
            output = (result.stdout + result.stderr)[:OUTPUT_LIMIT].decode("utf-8", "replace")
            raise HookFailure(
                f"{what} failed - error: command exited with {result.exit_code}, "
                f'message: "{output}"'
            )
