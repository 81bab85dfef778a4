"""Deletes objects of kinds with a TTL, where the store does not: events, an hour after their last
write.

In: the stored objects of every kind whose ``Resource`` has a ``ttl``. Out: deletions. The store
keeps no times, so each object's age is counted from when this task first saw its revision; after a
restart an object may live for up to one more TTL. Started by ``run``. Upstream: leases of
etcd, --event-ttl.
"""

from __future__ import annotations

from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.store import contract as stores

# Seconds between two passes.
INTERVAL = 60.0


async def expire(context: ServerContext) -> None:
    """Delete what is older than its TTL, until cancelled."""
    if context.store.expires:
        return
    watched = [end for end in context.served.endpoints.values() if end.resource.ttl]
    observed: dict[str, tuple[int, float]] = {}
    while watched:
        clock = context.env.clock
        await (clock.sleep if observed else clock.tick)(INTERVAL)
        before, observed = observed, {}
        for endpoint in watched:
            await _expire_kind(context, endpoint, before, observed)


async def _expire_kind(
    context: ServerContext,
    endpoint: Endpoint,
    before: dict[str, tuple[int, float]],
    observed: dict[str, tuple[int, float]],
) -> None:
    """One kind: delete what is due and note in ``observed`` when each revision was first there."""
    ttl, now = endpoint.resource.ttl, context.env.clock.monotonic()
    for item in context.store.list(endpoint.root).items:
        revision, since = before.get(item.key, (0, now))
        if revision != item.revision:
            since = now
        if now - since < ttl:
            observed[item.key] = (item.revision, since)
            continue
        try:
            await context.store.delete(item.key, item.revision)
        except (stores.Conflict, stores.KeyMissing):
            # Written or deleted meanwhile; the age of a new revision starts at zero.
            continue
        except stores.StoreUnavailable as problem:
            context.env.log.warning("%s is not expired: %s", item.key, problem)
            observed[item.key] = (item.revision, since)
            continue
        context.views.drop(item.key)
        context.reader.drop(item.key)
