"""Keeps something in line with the objects below a prefix of the store.

In: a prefix and what to do about a name. Out: that is done for every name that is there, and again
whenever one changes, until the store closes. Level-triggered: only names are handed on, and what is
to be done is computed from what is there. Used by the parts of the API server that keep objects of
their own (definitions, APIServices). Upstream: an informer with a workqueue.
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
    """Does one thing about names of one kind of object; what fails is logged and tried again."""

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
        """Do it for one name."""
        try:
            await self._sync(name)
        except (errors.ApiError, stores.StoreUnavailable) as error:
            self._env.log.warning("%s %s: %s", self._what, name, error)
            self._group.create_task(self._retry(name), name=f"{self._what} {name}")

    async def _retry(self, name: str) -> None:
        await self._env.clock.sleep(RETRY)
        await self.sync(name)

    async def follow(self, prefix: str) -> None:
        """Do it for every name below a prefix, at first and whenever one changes."""
        known: set[str] = set()
        while True:
            page = self._store.list(prefix)
            subscription = self._store.watch(prefix, page.revision)
            present = {item.key[len(prefix) :] for item in page.items}
            try:
                # Those that went while nobody listened are done as well.
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
