"""Register the node, report its status, renew its lease.

In: the API, the runtime, the machine. Out: the Node object and its Lease; answers about the node
for workers (``NodeState``, ``NodeFacts``). Run by the component. Rules: reference "Loops" (node
status 10 s, report 5 min, lease 40 s renewed every 10 s), "Node object"; KEP-589.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from trireme.api.coordination import v1 as coordination
from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet.admit.decide import NodeView
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.events import NORMAL, Events
from trireme.kubelet.host.contract import Host
from trireme.kubelet.node import status as statuses
from trireme.kubelet.node.machine import Machine
from trireme.machinery import errors, meta, quantity, time
from trireme.machinery.errors import ApiError

LEASES = "kube-node-lease"
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 7.0
RUNTIME_CHECK_SECONDS = 5.0
STARTING_CHECK_SECONDS = 0.1
CONDITION_EVENTS = {
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}


class NodeAgent:
    """``problem`` returns another reason for the node not to be ready (the health of the PLEG), ""
    for none; ``volumes_in_use`` the attached volumes that must stay so; ``pressures`` the types of
    conditions that eviction has set; ``shutdown`` says that the node shuts down."""

    def __init__(
        self,
        env: Env,
        config: KubeletConfig,
        client: Client,
        runtime: Runtime,
        host: Host,
        machine: Machine,
        events: Events,
        problem: Callable[[], str],
        volumes_in_use: Callable[[], Sequence[str]],
        pressures: Callable[[], Sequence[str]],
        shutdown: Callable[[], str],
    ) -> None:
        self._env = env
        self._config = config
        self._client = client
        self._runtime = runtime
        self._host = host
        self._machine = machine
        self._events = events
        self._problem = problem
        self._volumes_in_use = volumes_in_use
        self._pressures = pressures
        self._shutdown = shutdown
        self._report_now = asyncio.Event()
        self._node: core.Node | None = None
        self._lease: coordination.Lease | None = None
        self._runtime_status = model.Status()
        self._runtime_problem = "container runtime status check may not have completed yet"
        self._version = model.Version()
        self._images: list[model.Image] = []
        self._reported = float("-inf")
        self._report_jitter = 0.0
        self._cidr = ""
        self._total: dict[str, str] = {}
        self._allocatable: dict[str, str] = {}

    # ---- read by workers and the server

    def host_ips(self) -> tuple[str, ...]:
        return self._config.node_ips

    def network_problem(self) -> str:
        problem = self._runtime_problem
        return problem if "network" in problem or "may not have completed" in problem else ""

    def allocatable(self) -> Mapping[str, str]:
        if not self._allocatable:
            self._allocatable = statuses.allocatable(self._config, self._capacity())
        return self._allocatable

    def of_cgroup(self) -> Mapping[str, str]:
        """The limits of all pods together."""
        return statuses.allocatable(self._config, self._capacity(), of_cgroup=True)

    def memory_capacity(self) -> int:
        return quantity.parse(self._capacity()["memory"]).value()

    def recursive_read_only(self) -> bool:
        return any(
            handler.features is not None and handler.features.recursive_read_only_mounts
            for handler in self._runtime_status.runtime_handlers
            if handler.name == ""
        )

    def view(self) -> NodeView:
        node = self._node
        labels = (
            dict(node.metadata.labels)
            if node is not None
            else statuses.labels(self._config, self._machine)
        )
        extended = statuses.advertised(node.status) if node is not None else {}
        allocatable = {**extended, **self.allocatable()}
        return NodeView(
            self._config.node_name,
            labels,
            allocatable,
            tuple(self._pressures()),
            self._config.unsafe_sysctls,
            bool(self._shutdown()),
        )

    async def newest_view(self) -> NodeView:
        """The view of the Node read from the API now, or the last one if that fails."""
        if self._config.standalone:
            return self.view()
        try:
            self._node = await self._client.get(core.Node, self._config.node_name)
        except (ApiError, OSError) as error:
            self._env.log.warning("reading node %s failed: %s", self._config.node_name, error)
        return self.view()

    def node(self) -> core.Node | None:
        return self._node

    def reported_in_use(self) -> Sequence[str]:
        """The volumes that the Node says are in use."""
        return self._node.status.volumesInUse if self._node is not None else ()

    def report_soon(self) -> None:
        """Report the status before the next period."""
        self._report_now.set()

    # ---- loops

    async def check_runtime(self) -> None:
        """Read the runtime's status. Never raises: an error becomes the node's condition."""
        try:
            self._runtime_status = await self._runtime.status()
            self._runtime_problem = statuses.runtime_problem(self._runtime_status)
            if not self._version.runtime_name:
                self._version = await self._runtime.version()
        except RuntimeFailure as failure:
            self._runtime_problem = f"container runtime is down: {failure}"

    async def check_runtime_forever(self) -> None:
        while True:
            await self.check_runtime()
            await self._env.clock.tick(
                STARTING_CHECK_SECONDS if self._runtime_problem else RUNTIME_CHECK_SECONDS
            )

    async def register(self) -> None:
        """Register the node, with retries until it succeeds; not where somebody else does."""
        if not self._config.register:
            return
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._register()
                return
            except (ApiError, OSError) as error:
                self._env.log.warning(
                    "registering node %s failed: %s", self._config.node_name, error
                )
            await self._env.clock.sleep(delay)
            delay = min(delay * 2, LAST_RETRY_SECONDS)

    async def report_forever(self) -> None:
        """Status: computed every 10 s, written when it changed or when 5 min have passed."""
        while True:
            try:
                await self._report()
            except (ApiError, OSError) as error:
                self._env.log.warning(
                    "reporting status of node %s failed: %s", self._config.node_name, error
                )
            ready = self._node is not None and any(
                c.type == "Ready" and c.status == "True" for c in self._node.status.conditions
            )
            # Report more often until the node is ready.
            seconds = self._config.status_update_seconds if ready else STARTING_CHECK_SECONDS * 5
            await self._env.clock.tick(seconds, self._report_now)
            self._report_now.clear()

    async def renew_forever(self) -> None:
        while True:
            try:
                await self._renew()
            except (ApiError, OSError) as error:
                self._lease = None
                self._env.log.warning(
                    "renewing lease of node %s failed: %s", self._config.node_name, error
                )
            await self._env.clock.tick(self._config.lease_seconds / 4, heartbeat=True)

    # ---- steps

    async def _register(self) -> None:
        await self.check_runtime()
        desired = statuses.node(
            self._config, self._machine, statuses.status(await self._facts(), core.NodeStatus())
        )
        try:
            self._node = await self._client.create(desired)
            self._note_report()
            self._record_events(core.NodeStatus(), self._node.status)
            return
        except ApiError as error:
            if not errors.is_already_exists(error):
                raise
        self._node = await self._client.get(core.Node, self._config.node_name)
        await self._reconcile(desired)
        await self._report(force=True)

    async def _reconcile(self, desired: core.Node) -> None:
        """Correct the labels and annotations that the kubelet owns."""
        assert self._node is not None
        present = self._node.metadata
        changes: dict[str, Any] = {}
        for name in ("labels", "annotations"):
            ours = getattr(desired.metadata, name)
            differ = {k: v for k, v in ours.items() if getattr(present, name).get(k) != v}
            if differ:
                changes[name] = differ
        if changes:
            self._node = await self._client.patch(
                core.Node, self._config.node_name, None, {"metadata": changes}, kind="strategic"
            )

    async def _report(self, *, force: bool = False) -> None:
        self._node = await self._client.get(core.Node, self._config.node_name)
        await self._take_cidr(self._node)
        before = self._node.status
        after = statuses.status(await self._facts(), before)
        due = self._env.clock.monotonic() - self._reported >= (
            self._config.status_report_seconds + self._report_jitter
        )
        if not force and not due and statuses.same_but_heartbeat(before, after):
            return
        change = statuses.patch(before, after)
        if change is None:
            return
        self._node = await self._client.patch(
            core.Node, self._config.node_name, None, change, kind="strategic", subresource="status"
        )
        self._note_report()
        self._record_events(before, after)

    async def _renew(self) -> None:
        if self._lease is None:
            self._lease = await self._get_lease()
        if self._lease is not None:
            desired = msgspec.structs.replace(self._lease, spec=self._lease_spec())
            self._lease = await self._client.update(desired)
            return
        lease = coordination.Lease(spec=self._lease_spec())
        lease.metadata.name, lease.metadata.namespace = self._config.node_name, LEASES
        if self._node is not None:
            lease.metadata.ownerReferences = [
                meta.OwnerReference(
                    apiVersion="v1",
                    kind="Node",
                    name=self._node.metadata.name,
                    uid=self._node.metadata.uid,
                )
            ]
        self._lease = await self._client.create(lease)

    async def _get_lease(self) -> coordination.Lease | None:
        try:
            lease: coordination.Lease = await self._client.get(
                coordination.Lease, self._config.node_name, LEASES
            )
        except ApiError as error:
            if not errors.is_not_found(error):
                raise
            return None
        return lease

    def _lease_spec(self) -> coordination.LeaseSpec:
        return coordination.LeaseSpec(
            holderIdentity=self._config.node_name,
            leaseDurationSeconds=self._config.lease_seconds,
            renewTime=time.format_micro(self._env.clock.now()),
        )

    async def _facts(self) -> statuses.Facts:
        try:
            self._images = await self._runtime.list_images()
        except RuntimeFailure as failure:
            self._env.log.warning("listing images failed: %s", failure)
        return statuses.Facts(
            config=self._config,
            machine=self._machine,
            health=self._health(),
            version=self._version,
            runtime=self._runtime_status,
            images=self._images,
            volumes_in_use=self._volumes_in_use(),
            now=self._env.clock.now(),
        )

    def _health(self) -> statuses.Health:
        found = (self._runtime_problem, self._problem(), self._shutdown())
        problems = [text for text in found if text]
        return statuses.Health(
            not_ready="[" + ", ".join(problems) + "]" if len(problems) > 1 else "".join(problems),
            pressures=self._pressures(),
            disk=self._host.disk_usage(self._config.root_dir),
        )

    def _capacity(self) -> dict[str, str]:
        if not self._total:
            self._total = statuses.capacity(
                self._config, self._machine, self._host.disk_usage(self._config.root_dir)
            )
        return self._total

    async def _take_cidr(self, node: core.Node) -> None:
        if node.spec.podCIDR and node.spec.podCIDR != self._cidr:
            try:
                await self._runtime.update_pod_cidr(
                    ",".join(node.spec.podCIDRs) or node.spec.podCIDR
                )
            except RuntimeFailure as failure:
                self._env.log.warning("telling the runtime the pod CIDR failed: %s", failure)
                return
            self._cidr = node.spec.podCIDR

    def _note_report(self) -> None:
        self._reported = self._env.clock.monotonic()
        # Jitter, so that nodes that started together do not report together.
        half = self._config.status_report_seconds / 2
        self._report_jitter = (self._env.rng.random() * 2 - 1) * half

    def _record_events(self, before: core.NodeStatus, after: core.NodeStatus) -> None:
        known = {c.type: c.status for c in before.conditions}
        for condition in after.conditions:
            reason = CONDITION_EVENTS.get((condition.type, condition.status))
            if reason is not None and known.get(condition.type) != condition.status:
                self._events.node(
                    NORMAL, reason, f"Node {self._config.node_name} status is now: {reason}"
                )


async def run(agent: NodeAgent, group: asyncio.TaskGroup) -> None:
    """Register where the configuration says so, then keep reporting in ``group``."""
    await agent.register()
    group.create_task(agent.renew_forever(), name="node lease")
    group.create_task(agent.report_forever(), name="node status")
