"""A cloud provider for a network whose router sends a list of addresses to the cluster's nodes.

Its config file has one IPv4 address on each line. A Service of type LoadBalancer gets a free one;
which Service has which is kept beside the config file, so that it stays so after a restart.

    trireme cloud --kubeconfig controllers.kubeconfig \
        --cloud-provider static_addresses:make --cloud-config addresses.txt
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from trireme.api.core.v1.loadbalancer import LoadBalancerIngress, LoadBalancerStatus
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.service import Service
from trireme.cloud.contract import ProviderFailure
from trireme.cloud.providers import ProviderArguments


class StaticAddresses:
    """The provider. It has load balancers and nothing else."""

    name = "static"
    instances = routes = clusters = node_groups = None

    def __init__(self, config: Path) -> None:
        self._addresses = config.read_text().split()
        self._file = config.with_suffix(".json")
        self.load_balancers = self

    async def get_load_balancer(self, cluster: str, service: Service) -> LoadBalancerStatus | None:
        address = self._given().get(service.metadata.uid)
        return _status(address) if address else None

    async def ensure_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> LoadBalancerStatus:
        given = self._given()
        if service.metadata.uid not in given:
            free = [one for one in self._addresses if one not in given.values()]
            if not free:
                raise ProviderFailure("no address is left")
            self._keep({**given, service.metadata.uid: free[0]})
        return _status(self._given()[service.metadata.uid])

    async def update_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> None:
        """The router knows the nodes."""

    async def ensure_load_balancer_deleted(self, cluster: str, service: Service) -> None:
        given = self._given()
        given.pop(service.metadata.uid, None)
        self._keep(given)

    def _given(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return found

    def _keep(self, given: dict[str, str]) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(given))
        new.rename(self._file)


def make(arguments: ProviderArguments) -> StaticAddresses:
    """Named by ``--cloud-provider static_addresses:make``."""
    if arguments.config_file is None:
        raise ValueError("static addresses need --cloud-config FILE")
    return StaticAddresses(arguments.config_file)


def _status(address: str) -> LoadBalancerStatus:
    return LoadBalancerStatus(ingress=[LoadBalancerIngress(ip=address)])
