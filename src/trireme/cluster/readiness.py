"""Waits of ``up`` until the cluster is ready: API server, add-ons, images, nodes.

In: the cluster's settings. Out: a ready cluster, or ``CannotStart`` with the log to read. Called by
``up``, which imports this while the processes start.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from trireme.api.core.v1.node_types import Node
from trireme.cli.stages import Stages
from trireme.client.client import Client
from trireme.cluster import access, addons
from trireme.cluster.images import build, load, recipes
from trireme.cluster.settings import FAILED, Settings
from trireme.cluster.up import CannotStart

API_TIMEOUT = 30.0
NODES_TIMEOUT = 60.0


async def finish(cluster: Settings, stages: Stages) -> None:
    """Wait until the cluster can be used: API and add-ons, and meanwhile images; then nodes."""
    began = time.monotonic()
    images = asyncio.create_task(_load_images(cluster))
    try:
        with stages.stage("API server"):
            await _ready(cluster, cluster.api, API_TIMEOUT)
        async with access.admin(cluster) as client:
            await addons.apply(client, cluster)
            await images
            if cluster.nodes:
                stages.done("images", time.monotonic() - began)
                with stages.stage("nodes"):
                    await _nodes_ready(client, cluster)
        cluster.finished_file.touch()
    finally:
        images.cancel()


async def wait(cluster: Settings, stages: Stages) -> None:
    with stages.stage("API server"):
        await _ready(cluster, cluster.api, API_TIMEOUT)
    async with access.admin(cluster) as client:
        if cluster.nodes:
            with stages.stage("nodes"):
                await _nodes_ready(client, cluster)


async def _ready(cluster: Settings, component: str, timeout: float) -> None:
    mark = cluster.mark(component)
    end = time.monotonic() + timeout
    while not mark.exists():
        _raise_failure(cluster)
        if time.monotonic() > end:
            raise CannotStart(
                f"{component} is not ready after {timeout:.0f} s; its log: "
                f"{cluster.log_file(component)}"
            )
        await asyncio.sleep(0.005)


def _raise_failure(cluster: Settings) -> None:
    """Raise the error of a component that cannot start, as soon as it reports it."""
    for path in cluster.ready_dir.glob(f"*{FAILED}"):
        # The component may have succeeded and removed the file meanwhile.
        with contextlib.suppress(FileNotFoundError):
            raise CannotStart(f"{path.name.removesuffix(FAILED)}: {path.read_text()}")


async def _load_images(cluster: Settings) -> None:
    if not cluster.nodes:
        return
    content = await asyncio.to_thread(lambda: build.build(recipes.bundled()))
    for node in cluster.nodes:
        await _ready(cluster, f"containerd.{node.name}", API_TIMEOUT)
    await load.load_built(content, [node.containerd_socket for node in cluster.nodes])


async def _nodes_ready(client: Client, cluster: Settings) -> None:
    """Wait until all nodes are Ready."""
    count = len(cluster.nodes)
    end = time.monotonic() + NODES_TIMEOUT
    while True:
        listed = await client.list(Node)
        ready = [
            node.metadata.name
            for node in listed.items
            if any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
        ]
        if len(ready) >= count:
            return
        _raise_failure(cluster)
        if time.monotonic() > end:
            raise CannotStart(
                f"{len(ready)} of {count} nodes are ready after {NODES_TIMEOUT:.0f} s; "
                "see `trireme logs kubelet.node-0`"
            )
        await asyncio.sleep(0.02)
