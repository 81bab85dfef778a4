"""Pools of addresses and ports: which are taken, and a free one by upstream's rule of two bands.

Asked for none in particular, a pool gives a random one of its upper band and falls back to the
lower one, which is so left for those that people choose by hand. Upstream: KEP-3070, KEP-3668.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network


class Full(Exception):
    """Nothing is free."""


class Range:
    """The integers ``first`` to ``last``; the first ``static`` of them are given out last."""

    def __init__(self, first: int, last: int, static: int) -> None:
        self.first = first
        self.last = last
        self._static = static

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def numbers(self, rng: random.Random) -> Iterator[int]:
        """All of them, each band from a random one on."""
        edge = self.first + self._static
        for low, high in ((edge, self.last), (self.first, edge - 1)):
            size = high - low + 1
            start = rng.randrange(size) if size > 0 else 0
            for step in range(size):
                yield low + (start + step) % size


class Pool(Range):
    """A range, of whose numbers some are taken."""

    def __init__(self, first: int, last: int, static: int) -> None:
        super().__init__(first, last, static)
        self._taken: set[int] = set()

    def taken(self, number: int) -> bool:
        return number in self._taken

    def take(self, number: int) -> None:
        """Mark as taken; taking what is taken already changes nothing."""
        self._taken.add(number)

    def release(self, number: int) -> None:
        self._taken.discard(number)

    def all_taken(self) -> frozenset[int]:
        return frozenset(self._taken)

    def copy(self) -> Pool:
        made = Pool(self.first, self.last, self._static)
        made._taken = set(self._taken)
        return made

    def free(self, rng: random.Random) -> int:
        """A free number; it is not taken yet. Raises ``Full``."""
        for number in self.numbers(rng):
            if number not in self._taken:
                return number
        raise Full


def addresses(network: IPv4Network | IPv6Network) -> Range:
    """The usable addresses of a Service range, by their distance from the network's own."""
    last = network.num_addresses - 1 - (1 if network.version == 4 else 0)
    return Range(1, last, _band(last, 16, 256))


def ports(first: int, last: int) -> Pool:
    """The node ports."""
    return Pool(first, last, _band(last - first + 1, 32, 128))


def _band(size: int, share: int, most: int) -> int:
    return 0 if size < 16 else min(max(16, size // share), most)
