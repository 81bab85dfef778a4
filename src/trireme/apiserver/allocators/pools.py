"""Pools of addresses and ports: which are taken, and a free one by upstream's rule of two bands.

Asked for none in particular, a pool gives a random one of its upper band and falls back to the
lower one, which is so left for those that people choose by hand. Upstream: KEP-3070, KEP-3668.
"""

from __future__ import annotations

import ipaddress
import random


class Full(Exception):
    """Nothing is free."""


class Pool:
    """The integers ``first`` to ``last``; the first ``static`` of them are given out last."""

    def __init__(self, first: int, last: int, static: int) -> None:
        self.first = first
        self.last = last
        self._static = static
        self._taken: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def taken(self, number: int) -> bool:
        return number in self._taken

    def take(self, number: int) -> None:
        """Mark as taken; taking what is taken already changes nothing."""
        self._taken.add(number)

    def release(self, number: int) -> None:
        self._taken.discard(number)

    def free(self, rng: random.Random) -> int:
        """A free number; it is not taken yet. Raises ``Full``."""
        edge = self.first + self._static
        for low, high in ((edge, self.last), (self.first, edge - 1)):
            found = self._search(low, high, rng)
            if found is not None:
                return found
        raise Full

    def _search(self, low: int, high: int, rng: random.Random) -> int | None:
        size = high - low + 1
        if size <= 0:
            return None
        start = rng.randrange(size)
        for step in range(min(size, len(self._taken) + 1)):
            number = low + (start + step) % size
            if number not in self._taken:
                return number
        return None


def addresses(cidr: str) -> Pool:
    """The usable addresses of a Service range, as integers."""
    network = ipaddress.ip_network(cidr)
    first = int(network.network_address) + 1
    last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
    size = last - first + 1
    return Pool(first, last, _band(size, 16, 256))


def ports(first: int, last: int) -> Pool:
    """The node ports."""
    return Pool(first, last, _band(last - first + 1, 32, 128))


def _band(size: int, share: int, most: int) -> int:
    return 0 if size < 16 else min(max(16, size // share), most)
