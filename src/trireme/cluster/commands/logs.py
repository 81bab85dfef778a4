"""``trireme logs COMPONENT``: print what a component has logged."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from trireme.cluster.commands import _cluster, _types


@click.command()
@click.argument("component", type=_types.COMPONENT)
@_types.NAME
def COMMAND(component: str, name: str) -> None:
    """Print a component's log: apiserver, controllers, scheduler, supervisor, or on a node
    kubelet.node-0, proxy.node-0, dns.node-0, containerd.node-0."""
    cluster = _cluster.of(name)
    path = Path(cluster.log_file(component))
    if not path.exists():
        known = sorted(
            {item.stem for item in Path(cluster.state_dir, "logs").glob("*.log")}
            | {
                f"{item.stem}.{node.name}"
                for node in cluster.nodes
                for item in Path(node.log_dir).glob("*.log")
            }
        )
        raise click.ClickException(f"no log of {component!r}; there are: {', '.join(known)}")
    with path.open() as log:
        shutil.copyfileobj(log, sys.stdout)
