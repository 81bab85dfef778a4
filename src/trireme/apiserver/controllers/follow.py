"""Syncs every object below a prefix of the store, and again whenever one changes.

In: a prefix and a function of a name. Out: its calls, until the store closes. Level-triggered: the
function gets a name and reads the present state. Used by what keeps objects of the API server
itself (definitions, APIServices). Upstream: an informer with a workqueue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.store import contract as stores
from trireme.store.contract import DELETED, Store

# Seconds until what failed is tried again.
RETRY = 1.0


class Follower:
    """Calls ``sync`` for names of one kind of object; what fails is logged and tried again."""

    def __init__(
        self,
        store: Store,
        env: Env,
        group: asyncio.TaskGroup,
        what: str,
        sync: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._env = env
        self._group = group
        self._what = what
        self._sync = sync

    async def sync(self, name: str) -> None:
        """Sync one name."""
        try:
            await self._sync(name)
        except (errors.ApiError, stores.StoreUnavailable) as error:
            self._env.log.warning("%s %s: %s", self._what, name, error)
            self._group.create_task(self._retry(name), name=f"{self._what} {name}")

    async def _retry(self, name: str) -> None:
        await self._env.clock.sleep(RETRY)
        await self.sync(name)

    async def follow(self, prefix: str) -> None:
        """Sync every name below a prefix, at first and whenever one changes."""
        known: set[str] = set()
        while True:
            try:
                page = self._store.list(prefix)
            except stores.Unreadable as error:
                self._env.log.error("%s: %s: %s", self._what, error.key, error)
                await self._env.clock.sleep(RETRY)
                continue
            subscription = self._store.watch(prefix, page.revision)
            present = {item.key[len(prefix) :] for item in page.items}
            try:
                # Those that were deleted meanwhile are synced as well.
                for name in sorted(present | known):
                    await self.sync(name)
                known = present
                while True:
                    for event in await subscription.next():
                        name = event.key[len(prefix) :]
                        (known.discard if event.type == DELETED else known.add)(name)
                        await self.sync(name)
            except stores.SubscriptionClosed as closed:
                if closed.reason == "store closed":
                    return
            finally:
                subscription.close()
