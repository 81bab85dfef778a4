"""What ``up`` makes and waits for: network, keys, settings; then API server, images, nodes.

In: what the user asked for. Out: the cluster's settings in its state folder, and what they say on
the host. Called by ``up``, which starts the processes between ``prepare`` and ``finish``; it is
apart from there because what it imports costs more time than starting the processes does. Every
step can be repeated, so an ``up`` that was interrupted is finished by the next one.
"""

from __future__ import annotations

import asyncio
import time

from trireme.api.core.v1.node import Node
from trireme.cli.stages import Stages
from trireme.client.client import Client
from trireme.cluster import access, addons, ports, prerequisites, settings
from trireme.cluster.hosts import names, network, outside
from trireme.cluster.hosts.local import LocalHosts
from trireme.cluster.hosts.plan import Places
from trireme.cluster.images import build, load, recipes
from trireme.cluster.pki import Keys
from trireme.cluster.settings import BadSetting, NodeSettings, Settings
from trireme.cluster.up import CannotStart, Wish

API_TIMEOUT = 30.0
NODES_TIMEOUT = 60.0


def prepare(wish: Wish, kept: Settings | None, places: Places, stages: Stages) -> Settings:
    """Everything before the first process: checks, network, keys, settings."""
    with stages.stage("prerequisites"):
        port = kept.port if kept is not None else wish.port or ports.first_free()
        _check(wish, port)
    if wish.control_plane_only:
        made = _settings(wish, kept, places, port, ("127.0.0.1",), ())
    else:
        with stages.stage("network"):
            hosts = LocalHosts(wish.name, wish.nodes, places=places)
            plan = hosts.plan()
            hosts.keep()
            network.create(plan)
            if wish.outside:
                outside.open_way(plan, outside.networks(wish.outside))
        nodes = tuple(
            NodeSettings(
                name=node.name,
                ip=node.ip,
                pod_cidr=node.pod_cidr,
                netns_path=node.netns_path,
                containerd_socket=node.containerd_socket,
                cgroup=node.cgroup,
                cgroup_parent=node.cgroup_parent,
                state_dir=node.state_dir,
                run_dir=node.run_dir,
                log_dir=node.log_dir,
            )
            for node in plan.nodes
        )
        listen = ("127.0.0.1", plan.host_ip)
        made = _settings(wish, kept, places, port, listen, nodes)
    with stages.stage("keys"):
        keys = Keys(made.pki_dir)
        keys.make(made, time.time())
        text = keys.kubeconfig(made, "admin", made.url())
        made.kubeconfig.touch(0o600)
        made.kubeconfig.write_text(text)
    settings.save(made)
    return made


def _settings(
    wish: Wish,
    kept: Settings | None,
    places: Places,
    port: int,
    listen: tuple[str, ...],
    nodes: tuple[NodeSettings, ...],
) -> Settings:
    state_dir = f"{places.state}/{wish.name}"
    datastore = wish.datastore or (kept.datastore if kept else f"sqlite:{state_dir}/state.db")
    return Settings(
        name=names.cluster(wish.name),
        state_dir=state_dir,
        run_dir=f"{places.run}/{wish.name}",
        datastore=settings.check_datastore(datastore),
        port=port,
        listen=listen,
        nodes=nodes,
    )


def _check(wish: Wish, port: int) -> None:
    names.cluster(wish.name)
    if wish.datastore:
        settings.check_datastore(wish.datastore)
    if not wish.control_plane_only and not 1 <= wish.nodes <= names.MAX_NODES:
        raise BadSetting(f"--nodes {wish.nodes}: must be 1 to {names.MAX_NODES}")
    if wish.control_plane_only:
        problem = ports.problem(port, "127.0.0.1", "--api-port")
        if problem:
            raise CannotStart(problem)
        return
    problems = [problem for problem in prerequisites.check((port,)) if problem.fatal]
    if problems:
        raise CannotStart("\n".join(str(problem) for problem in problems))


async def finish(cluster: Settings, stages: Stages) -> None:
    """Wait until the cluster can be used: API and add-ons, and meanwhile images; then nodes."""
    began = time.monotonic()
    images = asyncio.create_task(_load_images(cluster))
    try:
        with stages.stage("API server"):
            await _ready(cluster, "apiserver", API_TIMEOUT)
        async with access.admin(cluster) as client:
            await addons.apply(client, cluster)
            await images
            if cluster.nodes:
                stages.done("images", time.monotonic() - began)
                with stages.stage("nodes"):
                    await _nodes_ready(client, len(cluster.nodes))
        cluster.finished_file.touch()
    finally:
        images.cancel()


async def wait(cluster: Settings, stages: Stages) -> None:
    with stages.stage("API server"):
        await _ready(cluster, "apiserver", API_TIMEOUT)
    async with access.admin(cluster) as client:
        if cluster.nodes:
            with stages.stage("nodes"):
                await _nodes_ready(client, len(cluster.nodes))


async def _ready(cluster: Settings, component: str, timeout: float) -> None:
    mark = cluster.ready_dir / component
    end = time.monotonic() + timeout
    while not mark.exists():
        if time.monotonic() > end:
            raise CannotStart(
                f"{component} is not ready after {timeout:.0f} s; its log: "
                f"{cluster.log_file(component)}"
            )
        await asyncio.sleep(0.005)


async def _load_images(cluster: Settings) -> None:
    if not cluster.nodes:
        return
    content = await asyncio.to_thread(lambda: build.build(recipes.bundled()))
    for node in cluster.nodes:
        await _ready(cluster, f"containerd.{node.name}", API_TIMEOUT)
    await load.load_built(content, [node.containerd_socket for node in cluster.nodes])


async def _nodes_ready(client: Client, count: int) -> None:
    """Wait until all nodes are Ready."""
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
        if time.monotonic() > end:
            raise CannotStart(
                f"{len(ready)} of {count} nodes are ready after {NODES_TIMEOUT:.0f} s; "
                "see `trireme logs kubelet.node-0`"
            )
        await asyncio.sleep(0.02)
