"""The addresses of all API servers of the cluster, each kept by a lease.

In: this server's address. Out: those of all that are alive, from keys in the store that expire
where their server does not renew them. Called by ``run``. Upstream:
pkg/controlplane/reconcilers/lease.go, whose keys and values these are.
"""

from __future__ import annotations

from trireme.apiserver.context import ServerContext
from trireme.store import contract as stores
from trireme.store.contract import Value

ROOT = "/registry/masterleases/"
# Seconds; renewed at every look of ``run``.
TTL = 15


async def addresses(context: ServerContext, own: str) -> list[str]:
    """Renew the own lease, and list all. One server alone needs none. StoreUnavailable."""
    store = context.store
    if not store.shared:
        return [own]
    head = b'{"kind":"Endpoints","apiVersion":"v1","metadata":{"resourceVersion":"'
    value = Value(head, b'"},"subsets":[{"addresses":[{"ip":"%b"}]}]}' % own.encode())
    try:
        await store.update(ROOT + own, value, ttl=TTL)
    except stores.KeyMissing:
        try:
            await store.create(ROOT + own, value, TTL)
        except stores.KeyExists:
            pass
    return [item.key[len(ROOT) :] for item in store.list(ROOT).items]


async def leave(context: ServerContext, own: str) -> list[str]:
    """Give up the own lease; the addresses that are left. StoreUnavailable."""
    try:
        await context.store.delete(ROOT + own)
    except stores.KeyMissing:
        pass
    return [item.key[len(ROOT) :] for item in context.store.list(ROOT).items]
