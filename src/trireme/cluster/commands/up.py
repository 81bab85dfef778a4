"""``trireme up``: start a cluster, or find it running; with ``--example`` run an application."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trireme.cluster import up as upping
from trireme.cluster.commands import _types
from trireme.cluster.hosts import names

if TYPE_CHECKING:
    from trireme.cli.stages import Stages


@click.command()
@_types.NAME
@click.option(
    "--nodes",
    type=click.IntRange(1, names.MAX_NODES),
    default=2,
    show_default=True,
    help="How many nodes.",
)
@click.option(
    "--max-nodes",
    type=click.IntRange(1, names.MAX_NODES),
    help="The autoscaler makes nodes for pods that fit on none, up to so many.",
)
@click.option(
    "--scale-down-unneeded-time",
    type=_types.SECONDS,
    default="10m",
    show_default=True,
    help="How long such a node is not needed, and how long ago the last one came, before it goes.",
)
@click.option("--control-plane-only", is_flag=True, help="No nodes; needs no root.")
@click.option(
    "--datastore",
    type=_types.LOCAL_DATASTORE,
    help="memory, sqlite:PATH, or etcd: members of its own; default: SQLite, kept.",
)
@click.option(
    "--control-planes",
    type=click.IntRange(1, names.MAX_CONTROL_PLANES),
    help="How many API servers, controllers and schedulers, with --datastore etcd; default: 1.",
)
@click.option(
    "--api-port", type=_types.PORT, help="Port on 127.0.0.1; default: first free from 6443."
)
@click.option(
    "--outside",
    type=_types.IPV4_CIDR,
    multiple=True,
    help="A network that nodes and pods may reach (0.0.0.0/0: all); default: only the cluster.",
)
@click.option(
    "--kube-apiserver-arg",
    "kube_apiserver_args",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_types.apiserver_args,
    help="A flag of the API server ('trireme apiserver --help'); may be given several times.",
)
@click.option(
    "--example",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Apply an example's manifests and show what it answers.",
)
def COMMAND(
    name: str,
    nodes: int,
    max_nodes: int | None,
    scale_down_unneeded_time: float,
    control_plane_only: bool,
    datastore: str | None,
    control_planes: int | None,
    api_port: int | None,
    outside: tuple[str, ...],
    kube_apiserver_args: tuple[str, ...],
    folder: Path | None,
) -> None:
    """Start a cluster on this machine."""
    began = time.monotonic()
    progress: list[Stages] = []

    def stages() -> Stages:
        from rich.console import Console

        from trireme.cli.stages import Stages

        progress.append(Stages(Console(stderr=True, highlight=False), time.monotonic, began))
        return progress[0]

    options = upping.UpOptions(
        name=name,
        nodes=nodes,
        max_nodes=max_nodes or 0,
        unneeded_time=scale_down_unneeded_time,
        control_plane_only=control_plane_only,
        datastore=datastore or "",
        control_planes=control_planes or 0,
        port=api_port or 0,
        outside=outside,
        kube_apiserver_args=kube_apiserver_args,
    )
    cluster, was_running = upping.up(options, stages)
    if was_running:
        progress[0].say(f"Cluster [bold]{name}[/bold] is running already.")
    import asyncio

    from trireme.cluster import example

    if folder is not None:
        asyncio.run(example.verify(cluster, folder, progress[0]))
    progress[0].say(
        f"\nReady after {progress[0].total:.1f} s. The kubeconfig is {cluster.kubeconfig}:\n"
    )
    print(f"  export KUBECONFIG={cluster.kubeconfig}")
    for line in example.try_next(folder):
        print(f"  {line}")
