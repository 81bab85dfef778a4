"""Incremental planning: from changed Services to the whole ruleset. Pure.

In: the changes of ``Model.update``. Out: the ruleset, of which only the changed parts are computed,
and the stale UDP flows to delete from conntrack.
"""

from __future__ import annotations

import msgspec

from trireme.proxy import plan
from trireme.proxy.model import Endpoint, Key, ServicePort
from trireme.proxy.plan import NodeFacts, Part
from trireme.proxy.ruleset import Ruleset

Stale = list[tuple[ServicePort, Endpoint | None]]


class Planner:
    """Keeps the parts of all Service ports of a node."""

    def __init__(self, node: NodeFacts) -> None:
        self._node = node
        self._ports: dict[Key, tuple[ServicePort, ...]] = {}
        self._parts: dict[Key, list[Part]] = {}

    def set_services(self, services: tuple[str, ...]) -> None:
        """The networks of Services, from the next change on."""
        self._node = msgspec.structs.replace(self._node, services=services)

    def change(self, changed: dict[Key, tuple[ServicePort, ...]]) -> tuple[Ruleset, Stale]:
        """The ruleset after a change."""
        stale: Stale = []
        for key, ports in changed.items():
            stale += stale_flows(self._ports.get(key, ()), ports)
            if ports:
                self._ports[key] = ports
                self._parts[key] = [plan.part(port, self._node) for port in ports]
            else:
                self._ports.pop(key, None)
                self._parts.pop(key, None)
        parts = [item for key in sorted(self._parts) for item in self._parts[key]]
        return plan.combine(parts, self._node), stale


def stale_flows(old: tuple[ServicePort, ...], new: tuple[ServicePort, ...]) -> Stale:
    """UDP flows to endpoints that are gone, or that began while there was no endpoint."""
    stale: Stale = []
    now = {(port.port_name, port.protocol, port.port): port for port in new}
    before = {(port.port_name, port.protocol, port.port): port for port in old}
    for key, port in before.items():
        if port.protocol != "udp":
            continue
        kept = {(e.address, e.port) for e in now[key].cluster} if key in now else set()
        stale += [
            (port, endpoint)
            for endpoint in port.cluster
            if (endpoint.address, endpoint.port) not in kept
        ]
    for key, port in now.items():
        if port.protocol == "udp" and port.cluster:
            known = before.get(key)
            if known is not None and not known.cluster:
                stale.append((port, None))
    return stale
