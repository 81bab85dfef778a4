"""Decisions are pure: every module named ``plan*``, ``compute*`` or ``decide*``, wherever it is.

``.importlinter`` holds the packages that are pure as a whole to the same; it has no wildcard for a
part of a module's name, so these modules are found here.
"""

from __future__ import annotations

import re

import grimp

IMPURE = (
    *("aiohttp", "asyncio", "grpc", "os", "pyroute2", "random", "secrets", "select", "socket"),
    *("ssl", "subprocess", "threading", "time", "uuid"),
)
_DECIDES = re.compile(r"(plan|compute|decide)(_|$)")


def test_modules_that_decide_reach_no_clock_chance_or_io() -> None:
    graph = grimp.build_graph("trireme", include_external_packages=True)
    deciding = [name for name in graph.modules if _DECIDES.match(name.rpartition(".")[2])]
    assert "trireme.kubelet.sync.plan" in deciding
    impure = set(IMPURE) & graph.modules
    assert len(impure) > 8
    chains = [graph.find_shortest_chain(name, each) for name in deciding for each in impure]
    assert [" -> ".join(chain) for chain in chains if chain] == []
