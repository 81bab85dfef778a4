"""Stories of the cluster autoscaler: nodes come for pods that fit nowhere, and go when they are not
needed, never against a budget. Scheduler, controllers, kubelets and the drain are real; machines
are in memory, as is time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import yaml

from tests.flows import screen
from trireme.api.core import v1 as core
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.apiserver.request import User
from trireme.client.client import Client
from trireme.cloud import taints
from trireme.cloud.autoscaler.settings import Settings
from trireme.cloud.settings import Settings as CloudSettings
from trireme.cluster import autoscaler_access, cloud_controllers, inprocess
from trireme.controllers import manager
from trireme.kit.env import Env
from trireme.kubelet.config import KubeletConfig
from trireme.machinery import meta
from trireme.testing import machines, memory_cloud, virtual
from trireme.testing.memory_cloud import MemoryCloud

GROUP = "pool"
CPU = {"cpu": "2", "memory": "4Gi"}


def template() -> core.Node:
    amounts = {**CPU, "pods": "110"}
    status = core.NodeStatus(capacity=amounts, allocatable={**amounts, "memory": "3996Mi"})
    return core.Node(status=status)


class Story(screen.Screen):
    """A cluster with one node that stays, and a group of machines of two CPUs each."""

    def __init__(self, env: Env, it: inprocess.InProcessCluster) -> None:
        super().__init__(env, it)
        self.machines = machines.Machines()
        self.cloud = MemoryCloud(on_created=self._order, on_deleted=self._delete)
        self.broken = False
        self._changes: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self._numbers: dict[str, int] = {}

    def _order(self, name: str, template: core.Node) -> None:
        self._changes.put_nowait((name, True))

    def _delete(self, name: str) -> None:
        self._changes.put_nowait((name, False))

    async def be_cloud(self) -> None:
        """Machines start half a minute after their order."""
        while True:
            name, starts = await self._changes.get()
            if starts and not self.broken:
                await self.env.clock.sleep(30.0)
                await self.start(name)
            elif not starts and self.cluster.runs(name):
                await self.cluster.stop(name)

    async def start(self, name: str, *, external: bool = True) -> None:
        number = len(self._numbers)
        self._numbers[name] = number
        machine = self.cloud.machines[name]
        address = f"192.0.2.{number + 1}"
        machine.metadata = dataclasses.replace(
            machine.metadata, addresses=memory_cloud.addresses(address)
        )
        config = KubeletConfig(
            node_name=name,
            node_ips=(address,),
            capacity=CPU,
            labels={"kubernetes.io/hostname": name},
            external_cloud=external,
        )
        await self.cluster.start_node(name, self.machines.parts(number), config)

    def account(self, name: str) -> Client:
        groups = (
            "system:serviceaccounts",
            "system:serviceaccounts:kube-system",
            "system:authenticated",
        )
        user = User(f"system:serviceaccount:kube-system:{name}", groups=groups)
        return self.cluster.client_for(user)

    async def start_autoscaler(self, settings: Settings) -> None:
        """The cloud's controllers and the autoscaler, as a manager of their own."""
        for obj in autoscaler_access.objects():
            await self.client.create(obj)
        config = manager.ManagerConfig(
            client=self.cluster.client_for(inprocess._component("kube-controller-manager")),
            client_for=self.account,
            own=[
                *cloud_controllers.definitions(self.cloud, CloudSettings()),
                cloud_controllers.autoscaler(self.cloud, settings),
            ],
        )
        await self.cluster.start("cloud", lambda own: manager.run(config, own))

    def nodes(self) -> list[str]:
        return [node.metadata.name for node in self.list(core.Node)]

    def reasons(self, name: str) -> list[str]:
        return [e.reason for e in self.list(core.Event) if e.involvedObject.name == name]

    def messages(self, reason: str) -> set[str]:
        return {e.message for e in self.list(core.Event) if e.reason == reason}

    def status(self) -> Any:
        found = self.find(core.ConfigMap, "cluster-autoscaler-status", "kube-system")
        return yaml.safe_load(found.data["status"])


@asynccontextmanager
async def running(env: Env, most: int = 3, **settings: Any) -> AsyncIterator[Story]:
    async with inprocess.control_plane(env) as it, asyncio.TaskGroup() as group:
        s = Story(env, it)
        s.cloud.add_group(GROUP, template(), 0, most)
        s.cloud.add_machine("node-0")
        tasks: list[asyncio.Task[None]] = []

        class Group:
            def create_task(self, work: Any, name: str = "") -> Any:
                tasks.append(group.create_task(work, name=name))
                return tasks[-1]

        s.informers.start(Group())  # type: ignore[arg-type]
        await s.informers.synced()
        tasks.append(group.create_task(s.be_cloud()))
        await s.start("node-0", external=False)
        await s.start_autoscaler(Settings(**settings))
        try:
            yield s
        finally:
            for name in ("cloud", *s._numbers):
                if it.runs(name):
                    await it.stop(name)
            for task in tasks:
                task.cancel()
            await s.machines.close()


def web(replicas: int, cpu: str = "900m", **pod: Any) -> Any:
    """A Deployment whose pods request so much."""
    made = screen.deployment(replicas=replicas)
    spec = made.spec.template.spec
    spec.containers[0].resources = core.ResourceRequirements(requests={"cpu": cpu})
    made.spec.template.spec = msgspec.structs.replace(spec, **pod)
    return made


async def scale(s: Story, replicas: int) -> None:
    await s.client.patch(type(web(1)), "web", "default", {"spec": {"replicas": replicas}})


@virtual.test(seed=1)
async def test_nodes_come_for_pods_and_go_when_they_are_not_needed(env):
    async with running(env) as s:
        await s.client.create(web(5))
        took = await s.until(s.rolled_out, 120.0)
        assert 30.0 <= took <= 90.0
        # Two of these pods fit a node: the first has two, two more nodes have the rest.
        assert s.nodes() == ["node-0", "pool-0", "pool-1"]
        assert "pod triggered scale-up: [{pool 0->2 (max: 3)}]" in s.messages("TriggeredScaleUp")
        text = "Scale-up: group pool size set to 2 instead of 0 (max: 3)"
        assert text in s.messages("ScaledUpGroup")
        await env.clock.sleep(30.0)
        (group,) = s.status()["nodeGroups"]
        assert group["health"]["nodeCounts"]["registered"]["ready"] == 2
        assert group["health"]["cloudProviderTarget"] == 2
        assert group["scaleUp"]["status"] == "NoActivity"
        await scale(s, 1)
        began = env.clock.monotonic()
        await s.until(lambda: s.nodes() == ["node-0"], 3600.0)
        assert env.clock.monotonic() - began >= 600.0, "a node stays for ten minutes"
        assert s.rolled_out()
        assert not s.cloud.machines.keys() - {"node-0"}
        assert "Scale-down: empty node pool-1 removed" in s.messages("ScaleDownEmpty") or (
            "Scale-down: node pool-1 removed with drain" in s.messages("ScaleDown")
        )
        assert "node removed by cluster autoscaler" in s.messages("ScaleDown")


@virtual.test(seed=8)
async def test_nobody_waits_for_the_next_look(env):
    async with running(env, scan_interval=60.0) as s:
        await env.clock.sleep(65.0)
        await s.client.create(web(3))
        took = await s.until(lambda: s.cloud.calls, 60.0)
        assert took < 3.0
        assert s.cloud.calls == [("increase_size", "pool+1")]


@virtual.test(seed=2)
async def test_a_node_is_drained_within_the_budget(env):
    async with running(env, unneeded_time=60.0, delay_after_add=60.0) as s:
        made = web(6, cpu="600m")
        await s.client.create(made)
        await s.until(s.rolled_out, 240.0)
        assert len(s.nodes()) == 2
        budget = PodDisruptionBudget(metadata=meta.ObjectMeta(name="web", namespace="default"))
        budget.spec.selector = made.spec.selector
        budget.spec.minAvailable = "100%"
        await s.client.create(budget)
        await scale(s, 2)
        await s.until(lambda: len(s.pods()) == 2)
        # Wherever the two pods are, one more eviction is not allowed.
        on_group = [pod for pod in s.pods() if pod.spec.nodeName != "node-0"]
        await env.clock.sleep(1200.0)
        if on_group:
            assert len(s.nodes()) == 2
        await s.client.patch(PodDisruptionBudget, "web", "default", {"spec": {"minAvailable": 1}})
        least = 2

        def gone() -> bool:
            nonlocal least
            ready = sum(
                any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
                for pod in s.pods()
            )
            least = min(least, ready)
            return s.nodes() == ["node-0"]

        await s.until(gone, 1200.0)
        assert least >= 1, "never below the budget"
        await s.until(s.rolled_out)


@virtual.test(seed=3)
async def test_what_fits_no_node_orders_none(env):
    async with running(env) as s:
        await s.client.create(web(1, cpu="3"))
        await s.until(lambda: s.messages("NotTriggerScaleUp"))
        assert s.messages("NotTriggerScaleUp") == {
            "pod didn't trigger scale-up: 1 Insufficient cpu"
        }
        await env.clock.sleep(120.0)
        assert s.nodes() == ["node-0"]
        assert not s.cloud.calls


@virtual.test(seed=4)
async def test_no_more_than_the_maximum(env):
    async with running(env, most=1) as s:
        await s.client.create(web(9))
        await s.until(lambda: len([p for p in s.pods() if p.spec.nodeName]) == 4, 120.0)
        await s.until(lambda: s.messages("NotTriggerScaleUp"), 60.0)
        assert s.messages("NotTriggerScaleUp") == {
            "pod didn't trigger scale-up: 1 max node group size reached"
        }
        assert s.nodes() == ["node-0", "pool-0"]


@virtual.test(seed=5)
async def test_a_machine_that_does_not_come_is_given_up(env):
    async with running(env, provision_time=300.0) as s:
        s.broken = True
        await s.client.create(web(3))
        await s.until(lambda: len(s.cloud.machines) == 2, 60.0)
        await s.until(lambda: s.messages("DeleteUnregistered"), 400.0)
        assert set(s.cloud.machines) == {"node-0"}
        await s.until(lambda: s.messages("NotTriggerScaleUp"), 60.0)
        text = "pod didn't trigger scale-up: 1 in backoff after failed scale-up"
        assert text in s.messages("NotTriggerScaleUp")
        (group,) = s.status()["nodeGroups"]
        assert group["scaleUp"]["status"] == "Backoff"
        s.broken = False
        await s.until(s.rolled_out, 600.0)


@virtual.test(seed=6)
async def test_pods_that_keep_their_node(env):
    async with running(env, unneeded_time=60.0, delay_after_add=60.0) as s:
        pin = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
        made = web(3)
        made.spec.template.metadata.annotations = pin
        await s.client.create(made)
        await s.until(s.rolled_out, 240.0)
        assert len(s.nodes()) == 2
        # The one on the group's node stays alone there.
        keeper = next(pod for pod in s.pods() if pod.spec.nodeName == "pool-0")
        for pod in s.pods():
            if pod is not keeper:
                cost = {
                    "metadata": {
                        "annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}
                    }
                }
                await s.client.patch(core.Pod, pod.metadata.name, "default", cost)
        await scale(s, 1)
        await env.clock.sleep(900.0)
        assert [pod.metadata.name for pod in s.pods()] == [keeper.metadata.name]
        assert s.nodes() == ["node-0", "pool-0"]
        node = s.find(core.Node, "pool-0", "")
        assert not [t for t in node.spec.taints if t.key == taints.TO_BE_DELETED]
        safe = {"metadata": {"annotations": {next(iter(pin)): "true"}}}
        await s.client.patch(core.Pod, keeper.metadata.name, "default", safe)
        await s.until(lambda: s.nodes() == ["node-0"], 600.0)


@virtual.test(seed=7)
async def test_a_restart_in_the_middle_of_a_drain_leaves_no_taint(env):
    async with running(env, unneeded_time=60.0, delay_after_add=60.0) as s:
        made = web(3, terminationGracePeriodSeconds=120)
        await s.client.create(made)
        await s.until(s.rolled_out, 240.0)

        def marked() -> bool:
            node = s.find(core.Node, "pool-0", "")
            return node is not None and any(
                one.key == taints.TO_BE_DELETED for one in node.spec.taints
            )

        await scale(s, 1)
        await s.until(marked, 600.0)
        await s.cluster.stop("cloud")
        config = s.find(core.Node, "pool-0", "")
        assert config.spec.unschedulable
        for obj in reversed(autoscaler_access.objects()):
            await s.client.delete(type(obj), obj.metadata.name, obj.metadata.namespace or None)
        await s.start_autoscaler(Settings(scale_down=False))
        await s.until(lambda: not marked(), 60.0)
        assert not s.find(core.Node, "pool-0", "").spec.unschedulable
