"""Which node ports are taken, by the Services that there are and by what was stored. Pure.

In: the ports of all Services, the pool that is stored, and how often a port without a Service may
still be looked at before it is free. Out: the pool as it should be, what to say of it, and the next
counts. Called by ``ports``. Upstream: pkg/registry/core/service/portallocator/controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

# A Service may be stored after its port: so many looks later that is not so any more.
LOOKS: Final = 3


class Plan(NamedTuple):
    taken: frozenset[int]
    left: dict[int, int]
    warnings: list[str]


def plan(
    services: Iterable[tuple[str, Iterable[int]]],
    stored: frozenset[int],
    first: int,
    last: int,
    left: Mapping[int, int],
) -> Plan:
    """``services``: name and ports of each; ``left``: the counts of the look before."""
    taken: dict[int, str] = {}
    warnings: list[str] = []
    for name, ports in services:
        for port in ports:
            if not first <= port <= last:
                warnings.append(f"port {port} of Service {name} is not within {first}-{last}")
            elif port in taken:
                warnings.append(f"port {port} of Service {name} is also that of {taken[port]}")
            else:
                taken[port] = name
                if port not in stored:
                    warnings.append(f"port {port} of Service {name} is not allocated; repairing")
    counts: dict[int, int] = {}
    for port in sorted(stored - taken.keys()):
        count = left.get(port, LOOKS)
        if count > 0 and first <= port <= last:
            counts[port] = count - 1
            taken[port] = ""
        else:
            warnings.append(f"port {port} has leaked; it is free again")
    return Plan(frozenset(taken), counts, warnings)
