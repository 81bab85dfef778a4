"""Scheduling decisions alone: pods per second over many nodes, and where the time goes.

python bench/scheduler.py [--nodes 5000] [--pods 2000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from trireme.api.core.v1.node import Node, NodeStatus
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.machinery import labels
from trireme.machinery.meta import ObjectMeta
from trireme.scheduler import decide, profile
from trireme.scheduler.framework import Subject
from trireme.scheduler.signature import Signatures
from trireme.scheduler.snapshot.columns import Columns
from trireme.scheduler.standing import Standings, points


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=2000)
    wanted = parser.parse_args()
    columns = Columns()
    for number in range(wanted.nodes):
        columns.set_node(node(number))
    pods = [pod(number) for number in range(wanted.pods)]
    signatures, standings = Signatures(), Standings(profile.DEFAULT)
    siblings = labels.from_set({"app": "x"})
    for selector in (None, siblings):
        began = time.perf_counter()
        for one in pods:
            subject = Subject(one, signatures.of(one), selector)
            decision = decide.decide(columns, subject, standings, 0.5)
            columns.set_pod(one, decision.node, subject.request)
        took = time.perf_counter() - began
        for one in pods:
            columns.drop_pod(one.metadata.uid)
        kind = "of a Service (spread)" if selector else "plain"
        print(
            f"{wanted.pods} pods {kind}, {wanted.nodes} nodes: {wanted.pods / took:,.0f} pods/s, "
            f"{took / wanted.pods * 1e6:.0f} µs each"
        )
    print("each part on all nodes:")
    subject = Subject(pods[0], signatures.of(pods[0]), siblings)
    whole = columns.whole()
    clock("signature", lambda: signatures.of(pods[0]))
    clock("one changed row", lambda: points(columns.at(np.array([7])), subject, profile.DEFAULT))
    for plugin, _ in profile.DEFAULT.plugins:
        if plugin.filter is not None:
            clock(f"{plugin.name} filter", partial(plugin.filter, whole, subject))
        if plugin.score is not None:
            clock(f"{plugin.name} score", partial(plugin.score, whole, subject, whole.live))


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
