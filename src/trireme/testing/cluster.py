"""A whole cluster in a test: API server, controllers, scheduler and nodes with a fake runtime.

    @virtual.test(seed=1)
    async def test_my_operator(env):
        async with cluster.running(env, nodes=2) as it:
            await it.client.create(...)
            await it.advance(31 * 86400)

Everything is real but the containers and the machine: pods go through scheduler and kubelet, their
containers "run" in memory and answer probes as a test's ``behave`` says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trireme.client.client import Client
from trireme.cluster import inprocess, local_path
from trireme.cluster.inprocess import InProcessCluster
from trireme.kit.env import Env
from trireme.kubelet.cgroups.apply import NoCgroups
from trireme.kubelet.component import Parts
from trireme.kubelet.host.memory import MemoryHost
from trireme.kubelet.node.machine import Machine
from trireme.testing.fake_cri import Behave, FakeRuntime


@asynccontextmanager
async def running(
    env: Env, *, nodes: int = 2, behave: Behave | None = None
) -> AsyncIterator[InProcessCluster]:
    """A cluster with nodes ``node-0`` and so on, and a default StorageClass. Images are there
    whatever they are called."""
    async with inprocess.control_plane(env) as cluster:
        for obj in local_path.objects():
            await cluster.client.create(obj)
        machines = Machines(behave)
        for number in range(nodes):
            await cluster.start_node(f"node-{number}", machines.parts(number))
        try:
            yield cluster
        finally:
            for number in range(nodes):
                if cluster.runs(f"node-{number}"):
                    await cluster.stop(f"node-{number}")
            await machines.close()


class Machines:
    """The fake machines of a cluster: they outlive their kubelets, as real ones do."""

    def __init__(self, behave: Behave | None = None) -> None:
        self._behave = behave
        self._runtimes: dict[int, FakeRuntime] = {}
        self._hosts: dict[int, MemoryHost] = {}

    def parts(self, number: int) -> inprocess.MakeParts:
        """What the kubelet of node ``number`` works with."""

        def make(env: Env, client: Client) -> Parts:
            runtime = self._runtime(number, env)
            return Parts(
                client=client,
                runtime=runtime,
                transport=runtime,
                host=self._hosts[number],
                cgroups=NoCgroups(),
                machine=Machine(),
            )

        return make

    async def close(self) -> None:
        """End every container."""
        for runtime in self._runtimes.values():
            await runtime.close()

    def _runtime(self, number: int, env: Env) -> FakeRuntime:
        if number not in self._runtimes:
            host = MemoryHost()
            host.make_dirs("/etc")
            host.write("/etc/resolv.conf", b"nameserver 192.0.2.53\n")
            self._hosts[number] = host
            network = f"10.244.{number}.0/24"
            self._runtimes[number] = FakeRuntime(env, host, network=network, behave=self._behave)
        return self._runtimes[number]
