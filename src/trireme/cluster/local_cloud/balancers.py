"""Load balancers of a local cluster: for each Service an address to which the host has a route, by
way of the nodes that are healthy.

In: Services and nodes from the cloud's controllers. Out: host routes, a record in the state folder.
On a node the proxy takes the traffic, as it takes what pods send to that address. A node is healthy
while its proxy says so, at port 10256 or the Service's healthCheckNodePort; all are asked every two
seconds, as long as there are load balancers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from trireme.api.core.v1.loadbalancer import LoadBalancerIngress, LoadBalancerStatus
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.service import Service
from trireme.cluster.local_cloud import plan_balancers
from trireme.cluster.local_cloud.plan_balancers import Balancer
from trireme.kit.env import Env

PERIOD = 2.0
TIMEOUT = 1.0

# The address of a node's machine, "" for none. Not that in the Node, which its kubelet writes.
AddressOf = Callable[[str], str]
# Whether a node's address takes traffic, asked at a port.
IsHealthy = Callable[[str, int], Awaitable[bool]]
# Make the host's routes to these addresses, by way of those, and no others. OSError.
SetRoutes = Callable[[Mapping[str, Sequence[str]]], Awaitable[None]]


class LocalLoadBalancers:
    """``addresses`` is the pool; ``file`` the record of what there is."""

    def __init__(
        self,
        env: Env,
        file: Path,
        addresses: Sequence[str],
        address_of: AddressOf,
        is_healthy: IsHealthy,
        set_routes: SetRoutes,
    ) -> None:
        self._env = env
        self._file = file
        self._addresses = addresses
        self._address_of = address_of
        self._is_healthy = is_healthy
        self._set_routes = set_routes
        self._present = _read(file)
        self._healthy: dict[tuple[str, int], bool] = {}
        # The routes as they were made last; None for what an earlier process has left.
        self._made: dict[str, list[str]] | None = None
        self._changes = asyncio.Lock()
        self._some = asyncio.Event()
        if self._present:
            self._some.set()

    async def get_load_balancer(self, cluster: str, service: Service) -> LoadBalancerStatus | None:
        found = self._present.get(service.metadata.uid)
        return _status(found) if found is not None else None

    async def ensure_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> LoadBalancerStatus:
        async with self._changes:
            made = plan_balancers.desired(service, self._ips(nodes), self._present, self._addresses)
            await self._put(service.metadata.uid, made)
        return _status(made)

    async def update_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> None:
        async with self._changes:
            found = self._present[service.metadata.uid]
            changed = msgspec.structs.replace(found, nodes=self._ips(nodes))
            await self._put(service.metadata.uid, changed)

    async def ensure_load_balancer_deleted(self, cluster: str, service: Service) -> None:
        async with self._changes:
            found = self._present.pop(service.metadata.uid, None)
            if found is None:
                return
            self._keep()
            await self._route()

    async def run(self) -> None:
        """Follow the nodes' health until cancelled."""
        while True:
            await self._some.wait()
            try:
                async with self._changes:
                    await self._check()
                    await self._route()
            except OSError as error:
                self._env.log.warning("load balancers: %s", error)
            await self._env.clock.sleep(PERIOD)

    async def _put(self, uid: str, balancer: Balancer) -> None:
        self._present[uid] = balancer
        self._keep()
        await self._check()
        await self._route()

    def _ips(self, nodes: Sequence[Node]) -> dict[str, str]:
        names = [node.metadata.name for node in nodes]
        return {name: address for name in names if (address := self._address_of(name))}

    async def _check(self) -> None:
        asked = sorted(
            {
                (address, one.health_port)
                for one in self._present.values()
                for address in one.nodes.values()
            }
        )
        answers = await asyncio.gather(*(self._is_healthy(*place) for place in asked))
        self._healthy = dict(zip(asked, answers, strict=True))

    async def _route(self) -> None:
        desired = {
            one.address: hops
            for one in self._present.values()
            if (hops := plan_balancers.hops(one, self._healthy))
        }
        if desired != self._made:
            await self._set_routes(desired)
            self._made = desired

    def _keep(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self._present))
        new.rename(self._file)
        if self._present:
            self._some.set()
        else:
            self._some.clear()


def _read(file: Path) -> dict[str, Balancer]:
    if not file.exists():
        return {}
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Balancer])


def _status(balancer: Balancer) -> LoadBalancerStatus:
    return LoadBalancerStatus(ingress=[LoadBalancerIngress(ip=balancer.address, ipMode="VIP")])
