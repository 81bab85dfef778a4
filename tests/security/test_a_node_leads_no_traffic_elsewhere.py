"""Promise: what a node says of itself makes the host of a local cluster neither dial nor route to
an address that is not the node's. Its kubelet writes the addresses in the Node; load balancers go
by those that the node was given.
"""

from __future__ import annotations

from tests.cluster.test_local_cloud import Host, node, service
from trireme.api.core import v1 as core
from trireme.testing import virtual


@virtual.test()
async def test_by_the_addresses_in_its_status(env, tmp_path):
    host = Host(env, tmp_path)
    liar = node(0)
    liar.status.addresses = [core.NodeAddress(type="InternalIP", address="192.0.2.66")]
    stranger = node(9)
    made = await host.load_balancers.ensure_load_balancer("c", service("x"), [liar, stranger])
    assert host.routes == {made.ingress[0].ip: ["172.29.7.2"]}
    assert {address for address, _ in host.asked} == {"172.29.7.2"}
