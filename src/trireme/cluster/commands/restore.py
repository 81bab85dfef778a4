"""``trireme restore``: a new cluster of a backup."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.cluster import backup, up
from trireme.cluster.commands import _types


@click.command()
@_types.NAME
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def COMMAND(name: str, file: Path) -> None:
    """Make the state of a cluster that is not there, from a FILE of 'trireme backup'."""
    count = backup.restore(name, file, up.default_places())
    click.echo(f"{count} objects and the keys are there; 'trireme up --name {name}' starts them.")
