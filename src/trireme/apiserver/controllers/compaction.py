"""Compacts the store's history: what is older than the interval goes.

Started by ``run``. Upstream: apiserver ``storage/etcd3/compact.go``.
"""

from __future__ import annotations

from trireme.apiserver.context import ServerContext
from trireme.store.contract import StoreUnavailable


async def compact(context: ServerContext) -> None:
    """Compact at every interval (0: never), for ever; what fails (the disk is full, say) is so with
    the next try."""
    if not context.config.compaction_interval:
        return
    clock, store = context.env.clock, context.store
    before = store.revision
    while True:
        await clock.tick(context.config.compaction_interval)
        try:
            await store.compact(before)
        except StoreUnavailable as error:
            context.env.log.warning("history is not compacted: %s", error)
        before = store.revision
