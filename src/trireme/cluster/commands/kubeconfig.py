"""``trireme kubeconfig``: print the administrator's kubeconfig."""

from __future__ import annotations

import click

from trireme.cluster.commands import _cluster, _types


@click.command()
@_types.NAME
@click.option("--path", is_flag=True, help="Print the file's path instead of its content.")
def COMMAND(name: str, path: bool) -> None:
    """Print the kubeconfig of a cluster."""
    cluster = _cluster.of(name)
    click.echo(str(cluster.kubeconfig) if path else cluster.kubeconfig.read_text(), nl=path)
