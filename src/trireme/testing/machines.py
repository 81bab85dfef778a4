"""The fake machines of a cluster: container runtimes and files in memory, one of each for a node.

In: how containers behave, and perhaps the state of earlier machines. Out: what kubelets work with.
Machines outlive their kubelets, as real ones do; their state is a value that can be stored.
"""

from __future__ import annotations

import asyncio

import msgspec

from trireme.api.batch.v1 import job_rules
from trireme.client.client import Client
from trireme.cluster import inprocess
from trireme.kit.env import Env
from trireme.kubelet.cgroups.apply import NoCgroups
from trireme.kubelet.component import Parts
from trireme.kubelet.cri import model
from trireme.kubelet.host.memory import MemoryHost
from trireme.kubelet.host.memory import State as HostState
from trireme.kubelet.node.machine import Machine
from trireme.testing.fake_cri import Behave, FakeRuntime
from trireme.testing.runtime_state import Behaviour
from trireme.testing.runtime_state import State as RuntimeState


class MachineState(msgspec.Struct, frozen=True):
    """A machine at an instant."""

    host: HostState
    runtime: RuntimeState


# How long the work of a Job takes, unless a test says otherwise.
JOB_SECONDS = 1.0


def by_owner(behave: Behave | None = None) -> Behave:
    """``behave``, and for what it says nothing of: containers of a Job succeed after a second, all
    others run until they are stopped."""

    def behaviour(
        container: model.ContainerConfig, sandbox: model.SandboxConfig
    ) -> Behaviour | None:
        given = behave(container, sandbox) if behave is not None else None
        if given is None and job_rules.NAME in sandbox.labels:
            return Behaviour(run_seconds=JOB_SECONDS)
        return given

    return behaviour


class Machines:
    """The machines of one cluster, by number. ``close`` ends every container."""

    def __init__(self, behave: Behave | None = None) -> None:
        self._behave = behave
        self.runtimes: dict[int, FakeRuntime] = {}
        self.hosts: dict[int, MemoryHost] = {}

    def parts(self, number: int) -> inprocess.MakeParts:
        """What the kubelet of node ``number`` works with."""

        def make(env: Env, client: Client) -> Parts:
            runtime = self._runtime(number, env)
            return Parts(
                client=client,
                runtime=runtime,
                transport=runtime,
                host=self.hosts[number],
                cgroups=NoCgroups(),
                machine=Machine(),
            )

        return make

    def state(self) -> dict[int, MachineState]:
        """What all machines hold."""
        return {
            number: MachineState(self.hosts[number].state(), runtime.state())
            for number, runtime in self.runtimes.items()
        }

    def restore(self, states: dict[int, MachineState], env: Env) -> None:
        """Begin with what earlier machines held."""
        for number, state in states.items():
            self._add(number, env).restore(state.runtime)
            self.hosts[number].restore(state.host)

    async def close(self) -> None:
        """End every container, on all machines at once."""
        await asyncio.gather(*(runtime.close() for runtime in self.runtimes.values()))

    def _runtime(self, number: int, env: Env) -> FakeRuntime:
        found = self.runtimes.get(number)
        if found is None:
            found = self._add(number, env)
            host = self.hosts[number]
            host.make_dirs("/etc")
            host.write("/etc/resolv.conf", b"nameserver 192.0.2.53\n")
        return found

    def _add(self, number: int, env: Env) -> FakeRuntime:
        host = self.hosts[number] = MemoryHost()
        network = f"10.{244 + number // 256}.{number % 256}.0/24"
        made = FakeRuntime(env, host, network=network, behave=self._behave)
        self.runtimes[number] = made
        return made
