"""``trireme status``: the cluster's processes with their memory and CPU, and its nodes."""

from __future__ import annotations

import asyncio

import click
from rich.console import Console
from rich.table import Table

from trireme.api.core.v1.node_types import Node
from trireme.cluster import access, usage
from trireme.cluster.commands import _cluster, _types
from trireme.cluster.hosts import spawn
from trireme.cluster.settings import Settings


@click.command()
@_types.NAME
def COMMAND(name: str) -> None:
    """Show a cluster's components and nodes."""
    cluster = _cluster.of(name)
    console = Console(highlight=False)
    console.print(_components(cluster))
    if cluster.nodes:
        console.print(asyncio.run(_nodes(cluster)))
    console.print(f"kubeconfig: {cluster.kubeconfig}")


def _components(cluster: Settings) -> Table:
    table = Table("COMPONENT", "PID", "STATE", box=None)
    table.add_column("MEMORY (PSS)", justify="right")
    table.add_column("CPU", justify="right")
    total = 0
    for process in spawn.records(cluster.records_dir):
        alive = spawn.alive(process)
        used = usage.of(process.pid) if alive else None
        if used is None:
            table.add_row(process.name, str(process.pid), "[red]ended[/red]", "", "")
            continue
        total += used.pss
        table.add_row(
            process.name,
            str(process.pid),
            "running",
            f"{used.pss / 2**20:.0f} MiB",
            f"{used.cpu * 100:.1f} %",
        )
    table.add_row("all", "", "", f"{total / 2**20:.0f} MiB", "")
    return table


async def _nodes(cluster: Settings) -> Table:
    table = Table("NODE", "STATUS", "ADDRESS", "VERSION", box=None)
    async with access.admin(cluster) as client:
        listed = await client.list(Node)
    for node in listed.items:
        ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
        address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
        version = node.status.nodeInfo.kubeletVersion
        table.add_row(
            node.metadata.name,
            "[green]Ready[/green]" if ready else "[red]NotReady[/red]",
            address,
            version,
        )
    return table
