"""The scheduler against the real API server under virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trireme.api.core.v1.event import Event
from trireme.api.core.v1.node import Node, NodeSpec, NodeStatus
from trireme.api.core.v1.pod.container import Container, ContainerPort
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.scheduling import PodSchedulingGate, TopologySpreadConstraint
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.selection import Taint
from trireme.client.client import Client
from trireme.kit import env as kit_env
from trireme.kit.env import Env
from trireme.machinery.meta import DeleteOptions, LabelSelector, ObjectMeta
from trireme.scheduler import loop
from trireme.scheduler.loop import SchedulerConfig
from trireme.testing import clients, control_plane, virtual


@asynccontextmanager
async def scheduling(env: Env) -> AsyncIterator[Client]:
    """An API server with a scheduler that runs as itself; yields an administrator's client."""
    async with control_plane.api_server(env) as server:
        own = clients.client(server, "system:kube-scheduler", ("system:authenticated",))
        config = SchedulerConfig(own)
        async with asyncio.TaskGroup() as group:
            running = await kit_env.start(
                group, env.named("scheduler"), lambda given: loop.run(config, given), "scheduler"
            )
            try:
                yield clients.client(server)
            finally:
                running.cancel()


def node(name: str, cpu: str = "2", **more: object) -> Node:
    labels = {"kubernetes.io/hostname": name, **more.pop("labels", {})}  # type: ignore[dict-item]
    return Node(
        metadata=ObjectMeta(name=name, labels=labels),
        spec=NodeSpec(**more),  # type: ignore[arg-type]
        status=NodeStatus(
            capacity={"cpu": cpu, "memory": "4Gi", "pods": "10"},
            allocatable={"cpu": cpu, "memory": "4Gi", "pods": "10"},
        ),
    )


async def add_node(client: Client, wanted: Node) -> None:
    """Create a node as one that has become ready: without the taint of a new one."""
    made = await client.create(wanted)
    made.spec.taints = wanted.spec.taints
    await client.update(made)


def pod(name: str, cpu: str = "500m", **spec: object) -> Pod:
    container = Container(
        name="c", image="i:1", resources=ResourceRequirements(requests={"cpu": cpu})
    )
    given = {"containers": [container], **spec}
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", labels={"app": "x"}),
        spec=PodSpec(**given),  # type: ignore[arg-type]
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
