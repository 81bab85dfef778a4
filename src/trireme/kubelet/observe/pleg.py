"""The PLEG: notices that a pod's containers changed.

In: the runtime's lists, once a period, and its event stream where it has one. Out: calls of
``changed(uid)``. Run by the component. Rules: reference "Loops" (relist 1 s, unhealthy after
3 min). Without runtime events, the end of a container shows in the list only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trireme.kit.env import Env
from trireme.kubelet import labels
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure

RELIST_SECONDS = 1.0
# With events, the list is for those that the stream lost.
RELIST_WITH_EVENTS_SECONDS = 30.0
UNHEALTHY_SECONDS = 180.0
EVENTS_RETRY_SECONDS = 5.0

Listing = Mapping[str, tuple[str, int]]  # id -> (pod UID, state)


class Pleg:
    """The pod lifecycle event generator."""

    def __init__(self, env: Env, runtime: Runtime, changed: Callable[[str], None]) -> None:
        self._env = env
        self._runtime = runtime
        self._changed = changed
        self._last: Listing | None = None
        self._last_relist = env.clock.monotonic()
        self._has_events = False
        self.pods: frozenset[str] = frozenset()

    async def relist_forever(self) -> None:
        while True:
            try:
                await self.relist()
            except RuntimeFailure as failure:
                self._env.log.warning("relist of containers failed: %s", failure)
            period = RELIST_WITH_EVENTS_SECONDS if self._has_events else RELIST_SECONDS
            await self._env.clock.tick(period, heartbeat=True)

    async def follow_events(self) -> None:
        """Returns when the runtime has no event stream; relisting then suffices."""
        while True:
            try:
                async for event in self._runtime.events():
                    self._has_events = True
                    if event.pod_uid:
                        self._changed(event.pod_uid)
            except RuntimeFailure as failure:
                self._has_events = False
                if failure.code == "UNIMPLEMENTED":
                    return
                self._env.log.warning("container events ended: %s", failure)
            self._has_events = False
            await self._env.clock.sleep(EVENTS_RETRY_SECONDS)

    def problem(self) -> str:
        """The message for the node condition; empty while healthy."""
        age = self._env.clock.monotonic() - self._last_relist
        if age <= UNHEALTHY_SECONDS:
            return ""
        return (
            f"PLEG is not healthy: pleg was last seen active {int(age)}s ago; "
            f"threshold is {int(UNHEALTHY_SECONDS)}s"
        )

    async def relist(self) -> None:
        """Compare the runtime's lists with the last ones. Raises ``RuntimeFailure``."""
        listing = await self._list()
        self._last_relist = self._env.clock.monotonic()
        before, self._last = self._last, listing
        self.pods = frozenset(uid for uid, _ in listing.values())
        if before is None:
            touched = set(self.pods)
        else:
            touched = {
                uid
                for key in before.keys() | listing.keys()
                if before.get(key) != listing.get(key)
                for uid, _ in (before.get(key) or listing[key],)
            }
        for uid in sorted(touched):
            self._changed(uid)

    async def _list(self) -> dict[str, tuple[str, int]]:
        found: dict[str, tuple[str, int]] = {}
        for sandbox in await self._runtime.list_sandboxes():
            found[sandbox.id] = (sandbox.metadata.uid, sandbox.state)
        for container in await self._runtime.list_containers():
            uid = container.labels.get(labels.POD_UID, "")
            if uid:
                found[container.id] = (uid, container.state)
        return found
