"""``trireme backup``: a cluster's state in one file."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.cluster import backup, up
from trireme.cluster.commands import _types


@click.command()
@_types.NAME
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def COMMAND(name: str, file: Path) -> None:
    """Write the objects and keys of a cluster to FILE, also while it runs.

    FILE holds Secrets and private keys: whoever has it has the cluster.
    """
    count = backup.backup(name, file, up.default_places())
    click.echo(f"{count} objects and the keys of {name} are in {file}.")
