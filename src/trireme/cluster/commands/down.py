"""``trireme down``: end a cluster and remove all that it made on this machine."""

from __future__ import annotations

import os
import time

import click

from trireme.cluster import down as downing
from trireme.cluster.commands import _types
from trireme.cluster.up import default_places


@click.command()
@_types.NAME
def COMMAND(name: str) -> None:
    """Remove a cluster: processes, network, cgroups, mounts, files."""
    began = time.monotonic()
    removed = downing.down(name, default_places(), root=os.geteuid() == 0)
    took = time.monotonic() - began
    click.echo(f"Cluster {name} is gone ({removed}; {took:.1f} s).", err=True)
