"""The leases of keys that expire: one serves many keys, as upstream has it.

In: a time to live. Out: the id of a lease that lives as long, and little longer. Upstream:
apiserver ``storage/etcd3/lease_manager.go``.
"""

from __future__ import annotations

import asyncio

from trireme.store.contract import StoreUnavailable
from trireme.store.etcd.members import Members
from trireme.store.etcd.pb import etcd_pb2 as pb

# How much longer a key may live, as part of its time; keys of one lease.
REUSE_PART = 0.05
MOST_KEYS = 1000


class Leases:
    def __init__(self, members: Members, reuse: int) -> None:
        """``reuse``: the most seconds that a key lives longer."""
        self._members = members
        self._reuse = reuse
        self._lock = asyncio.Lock()
        self._lease = 0
        self._ends = 0.0
        self._keys = 0

    async def lease(self, ttl: int) -> int:
        """StoreUnavailable."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            more = min(self._reuse, int(ttl * REUSE_PART))
            if now + ttl < self._ends < now + ttl + more and self._keys < MOST_KEYS:
                self._keys += 1
                return self._lease
            request = pb.LeaseGrantRequest(TTL=ttl + more)
            answer = await self._members.call("LeaseGrant", request)
            if answer.error:
                raise StoreUnavailable(f"etcd: {answer.error}")
            self._lease, self._ends, self._keys = int(answer.ID), now + ttl + more, 1
            return self._lease
