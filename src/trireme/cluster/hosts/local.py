"""The hosts of a local cluster, started and removed: `LocalHosts`.

In: a cluster's name and number of nodes.  Out: running nodes, and the plan kept in the state
folder, so that the same cluster keeps its addresses while other clusters come and go, and a later
process can pick the nodes up again (`attach`).  Called by `cluster.up`, the command line and tests.

    hosts = LocalHosts("dev", 2)
    await hosts.start()
    node = hosts.nodes[0]
    node.ip, node.pod_cidr, node.containerd_socket, node.cgroup_parent
    node.spawn(["trireme", "kubelet", ...], "kubelet")
    await hosts.stop()

An interrupted `start` may be repeated, or undone with `teardown.teardown(name)`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from trireme.cluster.hosts import cgroups, containerd, names, network, saved_plan, spawn, teardown
from trireme.cluster.hosts import plan as plans
from trireme.cluster.hosts.plan import HostsPlan, NodePlan, Places
from trireme.cluster.hosts.spawn import Running

_READY_TIMEOUT = 20.0


class Node:
    """One running node.  Attributes are those of its plan."""

    def __init__(self, hosts: "LocalHosts", plan: NodePlan) -> None:
        self._hosts = hosts
        self.plan = plan
        self.name = plan.name
        self.index = plan.index
        self.ip = plan.ip
        self.pod_cidr = plan.pod_cidr
        self.netns_path = plan.netns_path
        self.containerd_socket = plan.containerd_socket
        self.cgroup_parent = plan.cgroup_parent
        self.state_dir = plan.state_dir
        self.run_dir = plan.run_dir
        self.log_dir = plan.log_dir

    def spawn(
        self, argv: Sequence[str], name: str, *, env: Mapping[str, str] | None = None
    ) -> Running:
        """Starts a daemon of the node in its network namespace and cgroup.

        `name` is the component's (`kubelet`): the log is `<log_dir>/<name>.log`, the record
        `<name>.<node>`.  Raises SpawnFailed if there is no such program.
        """
        group = f"{self.plan.cgroup}/runtime"
        return self._hosts.spawn_in(
            argv, f"{name}.{self.name}", f"{self.log_dir}/{name}.log", group, env, self.netns_path
        )


class LocalHosts:
    """A cluster's nodes on this machine.  Needs root from `start` on."""

    def __init__(
        self,
        name: str,
        nodes: int,
        *,
        places: Places = Places(),
        pod_network: str = plans.POD_NETWORK,
        service_network: str = plans.SERVICE_NETWORK,
        control_planes: int = 1,
    ) -> None:
        self.name = names.cluster(name)
        self._count = nodes
        self._places = places
        self._pod_network = pod_network
        self._service_network = service_network
        self._control_planes = control_planes
        self._plan: HostsPlan | None = None
        self._nodes: tuple[Node, ...] = ()
        self._layout = cgroups.probe()

    def plan(self) -> HostsPlan:
        """The plan: the one kept from an earlier start, or a new one that avoids what is in use.

        Reads the host's routes and the state folder, changes nothing.
        """
        if self._plan is None:
            self._plan = self._kept() or plans.make(
                self.name,
                self._count,
                taken=network.taken(),
                places=self._places,
                pod_network=self._pod_network,
                service_network=self._service_network,
                control_planes=self._control_planes,
            )
            self._nodes = tuple(Node(self, node) for node in self._plan.nodes)
        return self._plan

    @property
    def nodes(self) -> tuple[Node, ...]:
        self.plan()
        return self._nodes

    @property
    def host_ip(self) -> str:
        """The host's address that nodes and pods reach: where the API server has to listen."""
        return self.plan().host_ip

    @property
    def records(self) -> str:
        """Folder of the records of all processes of the cluster."""
        return f"{self.plan().run_dir}/processes"

    async def start(self) -> None:
        """Makes what is missing of the network and the nodes, and waits for their runtimes.

        Raises containerd.NotReady, cgroups.NoCgroups, plan.NoNetworkLeft, spawn.SpawnFailed.
        """
        plan = await asyncio.to_thread(self.plan)
        await self.start_network()
        running = {record.name: record for record in spawn.records(self.records)}
        facts = await asyncio.to_thread(containerd.probe, plan.state_dir)
        started = []
        for node in plan.nodes:
            process = running.get(f"containerd.{node.name}")
            if process is None or not spawn.alive(process):
                process = await asyncio.to_thread(
                    containerd.start, node, facts, self._layout, records=self.records
                )
            started.append((node, process))
        for node, process in started:
            await containerd.ready(node, process, timeout=_READY_TIMEOUT)

    async def start_network(self) -> None:
        """The first half of `start`: after it, `host_ip` can be bound and nodes be entered."""
        plan = await asyncio.to_thread(self.plan)
        await asyncio.to_thread(self.keep)
        await asyncio.to_thread(network.create, plan)

    def spawn(
        self, argv: Sequence[str], name: str, *, env: Mapping[str, str] | None = None
    ) -> Running:
        """Starts a process of the control plane: on the host's network, in the cluster's cgroup."""
        log = f"{self.plan().state_dir}/logs/{name}.log"
        group = names.cgroup(self.name, "control-plane")
        return self.spawn_in(argv, name, log, group, env, "")

    def spawn_in(
        self,
        argv: Sequence[str],
        name: str,
        log: str,
        group: str,
        env: Mapping[str, str] | None,
        netns_path: str,
    ) -> Running:
        cgroups.create(self._layout, group)
        return spawn.start(
            spawn.Spawn(
                name=name,
                argv=tuple(argv),
                log=log,
                records=self.records,
                netns_path=netns_path,
                cgroup_procs=tuple(cgroups.entries(self._layout, group)),
                env=dict(env or {}),
            )
        )

    def running(self) -> list[Running]:
        """The cluster's recorded processes that are alive, by name."""
        return [process for process in spawn.records(self.records) if spawn.alive(process)]

    async def stop(self) -> None:
        """Removes the hosts and all that ran on them."""
        await asyncio.to_thread(teardown.teardown, self.name, self._places)

    def keep(self) -> None:
        """Writes the plan down, so that `attach` and a repeated `start` find it."""
        plan = self.plan()
        for folder in (plan.state_dir, plan.run_dir):
            Path(folder).mkdir(parents=True, exist_ok=True)
        saved_plan.write(plan)

    def _kept(self) -> HostsPlan | None:
        found = saved_plan.read(f"{self._places.state}/{self.name}")
        if found is not None and len(found.nodes) != self._count:
            raise ValueError(
                f"cluster {self.name!r} has {len(found.nodes)} nodes, not {self._count}: "
                "take it down first, or start it with its own number"
            )
        return found


def attach(name: str, places: Places = Places()) -> LocalHosts | None:
    """The hosts of a cluster that was started earlier, None if there is no such cluster."""
    found = saved_plan.read(f"{places.state}/{names.cluster(name)}")
    return None if found is None else LocalHosts(name, len(found.nodes), places=places)
