"""Bring a local cluster up: the steps of ``trireme up``.

In: what the user asked for. Out: running processes, and the cluster's settings in its state folder.
The first half runs without an event loop, because it forks: network, keys, supervisor. The second
half waits: the API server, the nodes, the images. Every step can be repeated, so an ``up`` that was
interrupted is finished by the next one.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from pathlib import Path

import msgspec

from trireme.api.core.v1.node import Node
from trireme.cli.stages import Stages
from trireme.client.client import Client
from trireme.cluster import access, addons, lock, members, prerequisites, settings
from trireme.cluster.hosts import names, network, outside, spawn
from trireme.cluster.hosts.local import LocalHosts
from trireme.cluster.hosts.plan import Places
from trireme.cluster.images import build, load, recipes
from trireme.cluster.pki import Keys
from trireme.cluster.settings import BadSetting, NodeSettings, Settings

FIRST_PORT = 6443
API_TIMEOUT = 30.0
NODES_TIMEOUT = 60.0


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for. ``port`` 0: the first free one from 6443 on. ``outside``: networks
    beyond the host that nodes and pods may reach, as CIDRs."""

    name: str = settings.DEFAULT_NAME
    nodes: int = 2
    control_plane_only: bool = False
    datastore: str = ""
    port: int = 0
    outside: tuple[str, ...] = ()


class CannotStart(Exception):
    """The text says what stands in the way and what to do."""


def up(wish: Wish, stages: Stages) -> tuple[Settings, bool]:
    """Bring the cluster up; returns its settings and whether it was running already."""
    places = default_places()
    with lock.held(wish.name, places):
        kept = settings.load(wish.name, places)
        if kept is not None and supervisor_of(kept) is not None:
            if kept.finished_file.exists():
                asyncio.run(_wait(kept, stages))
                return kept, True
            # An earlier `up` was interrupted after it had started the processes.
            asyncio.run(_finish(kept, stages))
            return kept, False
        made = _prepare(wish, kept, places, stages)
        members.start_supervisor(made)
        asyncio.run(_finish(made, stages))
        return made, False


def default_places() -> Places:
    """Where clusters live: the system's folders for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Places()
    home = Path.home()
    state = os.environ.get("XDG_STATE_HOME") or str(home / ".local/state")
    run = os.environ.get("XDG_RUNTIME_DIR") or str(home / ".local/state/trireme-run")
    return Places(state=f"{state}/trireme", run=f"{run}/trireme")


def supervisor_of(cluster: Settings) -> spawn.Running | None:
    """The cluster's supervisor, if it runs."""
    for process in spawn.records(cluster.records_dir):
        if process.name == members.SUPERVISOR and spawn.alive(process):
            return process
    return None


def _prepare(wish: Wish, kept: Settings | None, places: Places, stages: Stages) -> Settings:
    """Everything before the first process: checks, network, keys, settings."""
    with stages.stage("prerequisites"):
        port = kept.port if kept is not None else _port(wish.port)
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
        problem = port_problem(port, "127.0.0.1", "--api-port")
        if problem:
            raise CannotStart(problem)
        return
    problems = [problem for problem in prerequisites.check((port,)) if problem.fatal]
    if problems:
        raise CannotStart("\n".join(str(problem) for problem in problems))


def _port(wished: int) -> int:
    if wished:
        return wished
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        if not port_problem(port, "127.0.0.1"):
            return port
    raise CannotStart(f"no free port from {FIRST_PORT} on: choose one with --api-port")


def port_problem(port: int, address: str, option: str = "--port") -> str:
    """Why a port cannot be listened on, and what to do; empty if it can."""
    if not 0 < port < 65536:
        return f"{option} {port}: must be 1 to 65535"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                return f"port {port} on {address} is in use: choose another with {option}"
            return f"cannot listen on {address}:{port}: {fault.strerror}; see {option}"
    return ""


async def _finish(cluster: Settings, stages: Stages) -> None:
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


async def _wait(cluster: Settings, stages: Stages) -> None:
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
