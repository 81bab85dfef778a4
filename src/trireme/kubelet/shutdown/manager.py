"""The shutdown of the node: refuse new pods, end those that run, then let the machine go on.

In: the end of the kubelet, where the configuration says that the node ends with it. Out: terminated
pods, the node's condition. Called by the component. systemd-logind is not followed.
Rules: concepts/cluster-administration/node-shutdown.
"""

from __future__ import annotations

from collections.abc import Callable

from trireme.kit.env import Env
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.events import NORMAL, Events
from trireme.kubelet.shutdown import plan
from trireme.kubelet.status.compute import Failure
from trireme.kubelet.workers import Workers

MESSAGE = "Pod was terminated in response to imminent node shutdown."
FAILURE = Failure("Terminated", MESSAGE, disruption=MESSAGE)
PROBLEM = "node is shutting down"
CHECK_SECONDS = 0.5


class ShutdownManager:
    """Of one node. ``changed`` is called when ``problem`` did."""

    def __init__(
        self,
        env: Env,
        config: KubeletConfig,
        workers: Workers,
        events: Events,
        changed: Callable[[], None],
    ) -> None:
        self._env, self._periods = env, config.shutdown
        self._workers, self._events, self._changed = workers, events, changed
        self._now = False

    def problem(self) -> str:
        """Why the node is not ready, "" while it does not shut down."""
        return PROBLEM if self._now else ""

    async def shut_down(self) -> None:
        """Returns when every pod has ended, or its time is over."""
        self._now = True
        self._changed()
        self._events.node(NORMAL, "NodeShutdown", "Shutdown manager detected shutdown event")
        for group in plan.groups(self._periods, self._workers.active()):
            for pod in group.pods:
                grace = plan.grace_seconds(pod, group)
                self._workers.evict(pod.metadata.uid, FAILURE, grace)
            await self._workers.wait_cleaned_up(group.pods, group.seconds, CHECK_SECONDS)
