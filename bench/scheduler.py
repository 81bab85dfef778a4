"""Pods per second over many nodes, and where the time goes: decisions alone, or from API to API.

python bench/scheduler.py [--nodes 5000] [--pods 2000] [--end-to-end [--profile]]

End to end, an API server on the memory store and the scheduler share one process and one event
loop. All pods are there before the scheduler starts; time runs from when it has listed everything
to the last binding that a watch sees, and includes an event for each pod.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

import numpy as np
import uvloop

from trireme.api.core.v1.node_types import Node, NodeStatus
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.client.client import Client
from trireme.kit.env import Env, start
from trireme.machinery import labels
from trireme.machinery.meta import ObjectMeta
from trireme.scheduler import decide, loop, profile
from trireme.scheduler.framework import PodInfo
from trireme.scheduler.loop import SchedulerConfig
from trireme.scheduler.score_cache import ScoreCache, scores
from trireme.scheduler.signature import Signatures
from trireme.scheduler.snapshot.columns import Columns
from trireme.testing import clients, control_plane


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--end-to-end", action="store_true")
    parser.add_argument("--profile", action="store_true", help="with --end-to-end: by function")
    options = parser.parse_args()
    if options.end_to_end:
        end_to_end(options.nodes, options.pods, options.profile)
    else:
        decisions(options.nodes, options.pods)


def decisions(node_count: int, pod_count: int) -> None:
    """Decisions alone."""
    columns = Columns()
    for number in range(node_count):
        columns.set_node(node(number))
    pods = [pod(number) for number in range(pod_count)]
    signatures, score_cache = Signatures(), ScoreCache(profile.DEFAULT)
    selector = labels.from_set({"app": "x"})
    for each in (None, selector):
        began = time.perf_counter()
        for one in pods:
            pod_info = PodInfo(one, signatures.of(one), each)
            decision = decide.decide(columns, pod_info, score_cache, 0.5)
            columns.set_pod(one, decision.node, pod_info.request)
        took = time.perf_counter() - began
        for one in pods:
            columns.drop_pod(one.metadata.uid)
        kind = "of a Service (spread)" if each else "plain"
        print(
            f"{pod_count} pods {kind}, {node_count} nodes: {pod_count / took:,.0f} pods/s, "
            f"{took / pod_count * 1e6:.0f} µs each"
        )
    print("each part on all nodes:")
    pod_info = PodInfo(pods[0], signatures.of(pods[0]), selector)
    whole = columns.whole()
    clock("signature", lambda: signatures.of(pods[0]))
    clock("one changed row", lambda: scores(columns.at(np.array([7])), pod_info, profile.DEFAULT))
    for plugin, _ in profile.DEFAULT.plugins:
        if plugin.filter is not None:
            clock(f"{plugin.name} filter", partial(plugin.filter, whole, pod_info))
        if plugin.score is not None:
            clock(f"{plugin.name} score", partial(plugin.score, whole, pod_info, whole.live))


def end_to_end(node_count: int, pod_count: int, by_function: bool) -> None:
    """From the API to the API."""
    profiler = cProfile.Profile() if by_function else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_bind_all(node_count, pod_count, profiler))
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


async def _bind_all(nodes: int, pods: int, profiler: cProfile.Profile | None) -> None:
    env = Env()
    async with control_plane.api_server(env) as server:
        admin = clients.client(server)
        for number in range(nodes):
            made = await admin.create(node(number))
            made.spec.taints = []
            await admin.update(made)
        began = time.perf_counter()
        for number in range(pods):
            one = pod(number)
            one.metadata.uid = ""
            await admin.create(one)
        created = time.perf_counter() - began
        own = clients.client(server, "system:kube-scheduler", ("system:authenticated",))
        async with asyncio.TaskGroup() as group:
            if profiler is not None:
                profiler.enable()
            began = time.perf_counter()
            config = SchedulerConfig(own)
            running = await start(group, env, lambda given: loop.run(config, given), "scheduler")
            ready = time.perf_counter() - began
            await _all_bound(admin, pods)
            took = time.perf_counter() - began - ready
            if profiler is not None:
                profiler.disable()
            running.cancel()
    print(f"{pods} pods created one by one: {pods / created:,.0f} pods/s")
    print(f"scheduler ready with {nodes} nodes and {pods} pods listed: {ready:.2f} s")
    print(f"decided and bound: {pods / took:,.0f} pods/s, {took / pods * 1e6:.0f} µs each")


async def _all_bound(client: Client, pods: int) -> None:
    """Return when a watch has seen every pod with a node."""
    listed = await client.list(Pod, "default")
    bound = {one.metadata.name for one in listed.items if one.spec.nodeName}
    watch = client.watch(Pod, "default", listed.resource_version)
    async with aclosing(watch) as events:
        if len(bound) == pods:
            return
        async for event in events:
            if event.object is not None and event.object.spec.nodeName:
                bound.add(event.object.metadata.name)
                if len(bound) == pods:
                    return


def clock(name: str, part: Callable[[], object]) -> None:
    """Print how long one call takes."""
    began = time.perf_counter()
    for _ in range(200):
        part()
    print(f"  {name:40} {(time.perf_counter() - began) / 200 * 1e6:8.1f} µs")


def node(number: int) -> Node:
    """A node of 32 cores in one of three zones."""
    room = {"cpu": "32", "memory": "64Gi", "pods": "110"}
    labels = {
        "kubernetes.io/hostname": f"node-{number}",
        "topology.kubernetes.io/zone": f"zone-{number % 3}",
    }
    return Node(
        metadata=ObjectMeta(name=f"node-{number}", labels=labels),
        status=NodeStatus(capacity=room, allocatable=room),
    )


def pod(number: int) -> Pod:
    """A pod of a tenth of a core."""
    asked = ResourceRequirements(requests={"cpu": "100m", "memory": "128Mi"})
    return Pod(
        metadata=ObjectMeta(
            name=f"p{number}", namespace="default", uid=f"u{number}", labels={"app": "x"}
        ),
        spec=PodSpec(containers=[Container(name="c", image="i:1", resources=asked)]),
    )


if __name__ == "__main__":
    main()
