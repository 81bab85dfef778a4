"""The scheduler against the real API server under virtual time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from trireme.api.apps.v1.replicaset import ReplicaSet, ReplicaSetSpec
from trireme.api.apps.v1.statefulset_types import StatefulSet, StatefulSetSpec
from trireme.api.core.v1.event import Event
from trireme.api.core.v1.node_types import Node, NodeSpec, NodeStatus
from trireme.api.core.v1.pod.container import Container, ContainerPort
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.scheduling import PodSchedulingGate, TopologySpreadConstraint
from trireme.api.core.v1.pod.spec import PodResourceClaim, PodSpec
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.core.v1.replicationcontroller import (
    ReplicationController,
    ReplicationControllerSpec,
)
from trireme.api.core.v1.selection import Taint
from trireme.api.policy.v1.poddisruptionbudget import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
)
from trireme.api.scheduling.v1.priorityclass import PriorityClass
from trireme.apiserver.server import ApiServer
from trireme.client.client import Client
from trireme.client.inproc import Answer, InProcess
from trireme.client.transport import Unreachable
from trireme.kit import env as kit_env
from trireme.kit.env import Env
from trireme.machinery.meta import DeleteOptions, LabelSelector, ObjectMeta, OwnerReference
from trireme.scheduler import loop
from trireme.scheduler.loop import SchedulerConfig
from trireme.testing import clients, control_plane, virtual


@asynccontextmanager
async def scheduler_of(
    server: ApiServer, env: Env, refuse_bindings: int = 0
) -> AsyncIterator[None]:
    """A scheduler that runs as itself; its first bindings are refused where that is wanted."""
    identity = ("system:kube-scheduler", ("system:authenticated",))
    handle = clients.handler(server, *identity)
    left = refuse_bindings

    async def refusing(
        method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        nonlocal left
        if path.endswith("/binding") and left:
            left -= 1
            raise Unreachable("the connection was cut")
        return await handle(method, path, query, headers, body)

    own = Client(InProcess(refusing), "test/scheduler", env.clock)
    config = SchedulerConfig(own)
    async with asyncio.TaskGroup() as group:
        running = await kit_env.start(
            group, env.named("scheduler"), lambda given: loop.run(config, given), "scheduler"
        )
        try:
            yield
        finally:
            running.cancel()


@asynccontextmanager
async def scheduling(env: Env, **more: int) -> AsyncIterator[Client]:
    """An API server with a scheduler; yields an administrator's client."""
    async with control_plane.api_server(env) as server, scheduler_of(server, env, **more):
        yield clients.client(server)


def node(name: str, cpu: str = "2", **more: Any) -> Node:
    labels = {"kubernetes.io/hostname": name, **more.pop("labels", {})}
    return Node(
        metadata=ObjectMeta(name=name, labels=labels),
        spec=NodeSpec(**more),
        status=NodeStatus(
            capacity={"cpu": cpu, "memory": "4Gi", "pods": "10"},
            allocatable={"cpu": cpu, "memory": "4Gi", "pods": "10"},
        ),
    )


async def add_node(client: Client, expected: Node) -> None:
    """Create a node as one that has become ready: without the taint of a new one."""
    made = await client.create(expected)
    made.spec.taints = expected.spec.taints
    await client.update(made)


def pod(name: str, cpu: str = "500m", **spec: Any) -> Pod:
    container = Container(
        name="c", image="i:1", resources=ResourceRequirements(requests={"cpu": cpu})
    )
    given = {"containers": [container], **spec}
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", labels={"app": "x"}),
        spec=PodSpec(**given),
    )


async def where(client: Client) -> dict[str, str]:
    await asyncio.sleep(0.5)
    listed = await client.list(Pod, "default")
    return {item.metadata.name: item.spec.nodeName for item in listed.items}


@virtual.test()
async def test_pods_spread_over_the_least_used_nodes(env: Env) -> None:
    async with scheduling(env) as client:
        for name in ("a", "b"):
            await add_node(client, node(name))
        for number in range(4):
            await client.create(pod(f"p{number}"))
            await asyncio.sleep(0.5)
        placed = list((await where(client)).values())
        assert (placed.count("a"), placed.count("b")) == (2, 2)
        events = await client.list(Event, "default")
        texts = [e.message for e in events.items if e.reason == "Scheduled"]
        assert len(texts) == 4
        assert texts[0].startswith("Successfully assigned default/p")


@virtual.test()
async def test_a_pod_that_fits_nowhere_says_why_and_goes_when_there_is_room(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("small", cpu="1"))
        taint = Taint(key="dedicated", value="gpu", effect="NoSchedule")
        await add_node(client, node("tainted", taints=[taint]))
        await client.create(pod("first", cpu="800m"))
        await asyncio.sleep(1)
        await client.create(pod("second", cpu="800m"))
        assert (await where(client))["second"] == ""
        waiting = await client.get(Pod, "second", "default")
        (condition,) = [c for c in waiting.status.conditions if c.type == "PodScheduled"]
        assert (condition.status, condition.reason) == ("False", "Unschedulable")
        assert condition.message == (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). "
            "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, "
            "1 Preemption is not helpful for scheduling."
        )
        events = [e for e in (await client.list(Event, "default")).items]
        assert [e.type for e in events if e.reason == "FailedScheduling"] == ["Warning"]
        await client.delete(Pod, "first", "default", DeleteOptions(gracePeriodSeconds=0))
        await asyncio.sleep(2)
        assert (await where(client))["second"] == "small"


@virtual.test()
async def test_a_pod_with_resource_claims_waits(env: Env) -> None:
    """On a node the kubelet would fail it, and its ReplicaSet would make the next one at once."""
    async with scheduling(env) as client:
        await add_node(client, node("a"))
        claim = PodResourceClaim(name="gpu", resourceClaimTemplateName="gpus")
        await client.create(pod("with-claim", resourceClaims=[claim]))
        await client.create(pod("without"))
        assert (await where(client)) == {"with-claim": "", "without": "a"}
        waiting = await client.get(Pod, "with-claim", "default")
        (condition,) = [c for c in waiting.status.conditions if c.type == "PodScheduled"]
        assert condition.message == (
            "0/1 nodes are available: 1 cannot allocate all claims. preemption: 0/1 nodes are "
            "available: 1 Preemption is not helpful for scheduling."
        )


@virtual.test()
async def test_no_nodes_at_all(env: Env) -> None:
    async with scheduling(env) as client:
        await client.create(pod("lonely"))
        await asyncio.sleep(1)
        lonely = await client.get(Pod, "lonely", "default")
        assert lonely.status.conditions[0].message == "no nodes available to schedule pods"
        await add_node(client, node("late"))
        await asyncio.sleep(2)
        assert (await where(client)) == {"lonely": "late"}


@virtual.test()
async def test_a_host_port_is_had_once_per_node(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("a"))
        ports = [ContainerPort(containerPort=80, hostPort=8080)]
        container = Container(name="c", image="i:1", ports=ports)
        for name in ("one", "two"):
            await client.create(pod(name, containers=[container]))
            await asyncio.sleep(0.5)
        assert (await where(client)) == {"one": "a", "two": ""}


@virtual.test()
async def test_a_gated_pod_waits_for_its_gates(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("a"))
        await client.create(pod("gated", schedulingGates=[PodSchedulingGate(name="x.y/wait")]))
        assert (await where(client)) == {"gated": ""}
        await client.patch(Pod, "gated", "default", {"spec": {"schedulingGates": None}})
        assert (await where(client)) == {"gated": "a"}


@virtual.test()
async def test_required_spreading_keeps_zones_even(env: Env) -> None:
    async with scheduling(env) as client:
        for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b")):
            await add_node(client, node(name, labels={"zone": zone}))
        spread = TopologySpreadConstraint(
            maxSkew=1,
            topologyKey="zone",
            whenUnsatisfiable="DoNotSchedule",
            labelSelector=LabelSelector(matchLabels={"app": "x"}),
        )
        for number in range(4):
            await client.create(pod(f"p{number}", topologySpreadConstraints=[spread]))
            await asyncio.sleep(0.5)
        placed = list((await where(client)).values())
        assert sum(name.startswith("a") for name in placed) == 2


@virtual.test()
async def test_pods_of_other_schedulers_are_left_alone(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("a"))
        await client.create(pod("theirs", schedulerName="mine"))
        assert (await where(client)) == {"theirs": ""}


@virtual.test()
async def test_a_more_important_pod_takes_the_place_of_another(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("a", cpu="1"))
        for name, value in (("low", 1), ("high", 100)):
            await client.create(PriorityClass(metadata=ObjectMeta(name=name), value=value))
        await client.create(pod("victim", cpu="800m", priorityClassName="low"))
        assert (await where(client)) == {"victim": "a"}
        await client.create(pod("urgent", cpu="800m", priorityClassName="high"))
        await asyncio.sleep(0.5)
        # Its node does not answer, so the victim is there until its grace is over.
        leaving = await client.get(Pod, "victim", "default")
        assert leaving.metadata.deletionTimestamp is not None
        (condition,) = [c for c in leaving.status.conditions if c.type == "DisruptionTarget"]
        assert condition.reason == "PreemptionByScheduler"
        assert condition.message == (
            "default-scheduler: preempting to accommodate a higher priority pod"
        )
        urgent = await client.get(Pod, "urgent", "default")
        assert (urgent.spec.nodeName, urgent.status.nominatedNodeName) == ("", "a")
        # The promised room is not given to a lesser pod, even one that fits in.
        await client.delete(Pod, "victim", "default", DeleteOptions(gracePeriodSeconds=0))
        await client.create(pod("lesser", cpu="500m", priorityClassName="low"))
        placed = await where(client)
        assert placed == {"urgent": "a", "lesser": ""}
        assert (await client.get(Pod, "urgent", "default")).status.nominatedNodeName == ""
        events = (await client.list(Event, "default")).items
        (event,) = [item for item in events if item.reason == "Preempted"]
        uid = urgent.metadata.uid
        assert event.message == f"Preempted by pod {uid} on node a"
        assert (event.type, event.involvedObject.name) == ("Normal", "victim")


@virtual.test()
async def test_a_pod_that_never_preempts_waits(env: Env) -> None:
    async with scheduling(env) as client:
        await add_node(client, node("a", cpu="1"))
        meek = PriorityClass(metadata=ObjectMeta(name="meek"), value=100, preemptionPolicy="Never")
        await client.create(meek)
        await client.create(pod("first", cpu="800m"))
        await asyncio.sleep(0.5)
        await client.create(pod("second", cpu="800m", priorityClassName="meek"))
        assert (await where(client)) == {"first": "a", "second": ""}
        second = await client.get(Pod, "second", "default")
        assert second.status.conditions[0].message == (
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to "
            "preemptionPolicy=Never."
        )


@virtual.test()
async def test_preemption_spares_what_a_budget_protects(env: Env) -> None:
    """The budget outweighs priority: without it the less important pod would go."""
    async with scheduling(env) as client:
        for name, value in (("low", 1), ("middle", 10), ("high", 100)):
            await client.create(PriorityClass(metadata=ObjectMeta(name=name), value=value))
        for name, priority in (("guarded", "low"), ("other", "middle")):
            await add_node(client, node(f"for-{name}", cpu="1"))
            one = pod(name, cpu="800m", priorityClassName=priority)
            one.metadata.labels = {"app": name}
            await client.create(one)
            await asyncio.sleep(0.5)
        budget = PodDisruptionBudget(
            metadata=ObjectMeta(name="guard", namespace="default"),
            spec=PodDisruptionBudgetSpec(
                minAvailable=1, selector=LabelSelector(matchLabels={"app": "guarded"})
            ),
        )
        await client.create(budget)
        await asyncio.sleep(0.5)
        await client.create(pod("urgent", cpu="800m", priorityClassName="high"))
        await asyncio.sleep(0.5)
        leaving = {
            item.metadata.name
            for item in (await client.list(Pod, "default")).items
            if item.metadata.deletionTimestamp is not None
        }
        assert leaving == {"other"}


def workloads() -> list[ReplicaSet | StatefulSet | ReplicationController]:
    """One of each kind that the default selector knows, with pods of labels app=x."""
    meta = ObjectMeta(name="web", namespace="default")
    selector = LabelSelector(matchLabels={"app": "x"})
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": "x"}), spec=pod("template", cpu="100m").spec
    )
    by_map = ReplicationControllerSpec(replicas=0, selector={"app": "x"}, template=template)
    sets = ReplicaSetSpec(replicas=0, selector=selector, template=template)
    stateful = StatefulSetSpec(
        replicas=0, selector=selector, template=template, serviceName="elsewhere"
    )
    return [
        ReplicaSet(metadata=meta, spec=sets),
        StatefulSet(metadata=meta, spec=stateful),
        ReplicationController(metadata=meta, spec=by_map),
    ]


@pytest.mark.parametrize("workload", workloads(), ids=lambda workload: type(workload).__name__)
@virtual.test()
async def test_pods_of_a_workload_spread_over_zones(
    env: Env, workload: ReplicaSet | StatefulSet | ReplicationController
) -> None:
    async with scheduling(env) as client:
        for name, zone in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
            labels = {"topology.kubernetes.io/zone": zone}
            # The node in zone b is the fullest with every pod: without spreading it would be last.
            cpu = "64" if zone == "a" else "8"
            await add_node(client, node(name, cpu=cpu, labels=labels))
        made = await client.create(workload)
        version = "v1" if isinstance(made, ReplicationController) else "apps/v1"
        owner = OwnerReference(
            apiVersion=version, kind=type(made).__name__, name="web", uid=made.metadata.uid,
            controller=True,
        )  # fmt: skip
        for number in range(6):
            one = pod(f"p{number}", cpu="100m")
            one.metadata.ownerReferences = [owner]
            await client.create(one)
            await asyncio.sleep(0.2)
        placed = list((await where(client)).values())
        assert {name: placed.count(name) for name in set(placed)}["b1"] >= 2
        assert len(set(placed)) == 4


@virtual.test()
async def test_a_binding_that_fails_is_tried_again(env: Env) -> None:
    async with scheduling(env, refuse_bindings=2) as client:
        await add_node(client, node("a"))
        await client.create(pod("stubborn"))
        await asyncio.sleep(0.5)
        assert (await where(client)) == {"stubborn": ""}
        # One second after the first status, two after the second.
        await asyncio.sleep(4)
        assert (await where(client)) == {"stubborn": "a"}


@virtual.test()
async def test_a_burst_is_bound_whole_and_nothing_is_overcommitted(env: Env) -> None:
    async with scheduling(env) as client:
        for number in range(20):
            await add_node(client, node(f"n{number}", cpu="2"))
        for number in range(90):
            await client.create(pod(f"p{number}", cpu="500m"))
        await asyncio.sleep(3)
        placed = [name for name in (await where(client)).values() if name]
        assert len(placed) == 80
        assert {placed.count(name) for name in placed} == {4}


@virtual.test()
async def test_a_restarted_scheduler_goes_on_where_the_last_one_was(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        client = clients.client(server)
        await add_node(client, node("a"))
        for number in range(3):
            await client.create(pod(f"p{number}"))
            async with scheduler_of(server, env):
                await asyncio.sleep(0.5)
        assert set((await where(client)).values()) == {"a"}
