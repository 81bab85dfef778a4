"""Node ports: which are taken, as one object in the store that all API servers change by compare
and swap.

In: the ports that a Service takes or gives back. Out: the RangeAllocation at
``/registry/ranges/servicenodeports``, a bitmap, which is upstream's own. Called by ``services``,
and by ``bootstrap`` to repair it. Upstream: pkg/registry/core/service/portallocator.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable

import msgspec

from trireme.apiserver.allocators import pools
from trireme.apiserver.allocators.pools import Pool
from trireme.store import contract as stores
from trireme.store.contract import Store, Value

KEY = "/registry/ranges/servicenodeports"
_HEAD = b'{"kind":"RangeAllocation","apiVersion":"v1","metadata":{"resourceVersion":"'
_TRIES = 100


class _Stored(msgspec.Struct):
    range: str = ""
    data: bytes = b""


_decode = msgspec.json.Decoder(_Stored).decode


class Ports:
    """The ports of one range. What it reads is as new as this server's view of the store; a write
    that others came before is made again."""

    def __init__(self, first: int, last: int, store: Store) -> None:
        self.first, self.last = first, last
        self._store = store
        self._lock = asyncio.Lock()
        self._known: tuple[int, Pool] = (-1, pools.ports(first, last))

    def pool(self) -> tuple[Pool, int]:
        """A pool that the caller may change, and the revision that it is of; 0: none is stored."""
        item = self._store.get(KEY)
        if item is None:
            return pools.ports(self.first, self.last), 0
        if self._known[0] != item.revision:
            pool = pools.ports(self.first, self.last)
            stored = _decode(item.value)
            low = int(stored.range.partition("-")[0] or self.first)
            bits = int.from_bytes(stored.data, "big")
            while bits:
                lowest = bits & -bits
                pool.take(low + lowest.bit_length() - 1)
                bits ^= lowest
            self._known = item.revision, pool
        return self._known[1].copy(), item.revision

    async def write(self, pool: Pool, revision: int) -> bool:
        """Store the pool unless another one came after the revision. StoreUnavailable."""
        bits = 0
        for number in pool.all_taken():
            if self.first <= number <= self.last:
                bits |= 1 << (number - self.first)
        data = base64.b64encode(bits.to_bytes((bits.bit_length() + 7) // 8, "big"))
        tail = b'"},"range":"%d-%d","data":"%b"}' % (self.first, self.last, data)
        try:
            if revision:
                await self._store.update(KEY, Value(_HEAD, tail), revision)
            else:
                await self._store.create(KEY, Value(_HEAD, tail))
        except (stores.Conflict, stores.KeyExists, stores.KeyMissing):
            return False
        return True

    async def change(self, change: Callable[[Pool], bool]) -> None:
        """Make a change, which returns whether it did any. It may be called several times."""
        # One at a time: other servers alone are a reason to try again.
        async with self._lock:
            await self._store.barrier()
            for _ in range(_TRIES):
                pool, revision = self.pool()
                if not change(pool) or await self.write(pool, revision):
                    return
        raise stores.StoreUnavailable("the node ports are changed too often")

    async def release(self, numbers: Iterable[int]) -> None:
        """Give ports back."""
        gone = set(numbers)

        def change(pool: Pool) -> bool:
            held = [number for number in gone if pool.taken(number)]
            for number in held:
                pool.release(number)
            return bool(held)

        if gone:
            await self.change(change)
