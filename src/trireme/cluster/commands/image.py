"""``trireme image build|load|list``: images for a cluster that has no registry."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

import click

from trireme.cluster import settings
from trireme.cluster.commands import _cluster
from trireme.cluster.images import build, load, reference
from trireme.cluster.images.build import Config, ImageSpec


@click.group()
def COMMAND() -> None:
    """Make images and load them into nodes."""


@COMMAND.command("build")
@click.argument("image")
@click.option("--folder", type=click.Path(exists=True, file_okay=False), help="Files to put in.")
@click.option("--package", "packages", multiple=True, help="A Debian package to put in.")
@click.option("--entrypoint", multiple=True, help="A word of the entry point; may be repeated.")
@click.option("--cmd", multiple=True, help="A word of the default arguments; may be repeated.")
@click.option("--env", "environment", multiple=True, help="NAME=VALUE; may be repeated.")
@click.option("--user", default="", help="User or user:group that runs it.")
@click.option("--workdir", default="", help="Where it starts.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
def build_image(
    image: str,
    folder: str | None,
    packages: tuple[str, ...],
    entrypoint: tuple[str, ...],
    cmd: tuple[str, ...],
    environment: tuple[str, ...],
    user: str,
    workdir: str,
    output: Path,
) -> None:
    """Build IMAGE from a folder, from Debian packages, or both, into an OCI archive."""
    files = [*build.packages(packages)] if packages else []
    if folder is not None:
        files += build.folder(folder)
    if not files:
        raise click.UsageError("nothing to put in: give --folder, --package, or both")
    spec = ImageSpec(
        names=(reference.normalise(image),),
        files=tuple(files),
        config=Config(entrypoint=entrypoint, cmd=cmd, env=environment, user=user, workdir=workdir),
        machine=platform.machine(),
    )
    output.write_bytes(build.build([spec]))
    click.echo(f"{output}: {spec.names[0]}", err=True)


@COMMAND.command("load")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False))
@click.argument("names", nargs=-1)
@click.option("--name", default=settings.DEFAULT_NAME, show_default=True, help="The cluster.")
def load_image(archive: str, names: tuple[str, ...], name: str) -> None:
    """Load an OCI or Docker ARCHIVE into every node; NAMES choose or rename its images."""
    cluster = _cluster.of(name)
    sockets = [node.containerd_socket for node in cluster.nodes]
    for loaded in asyncio.run(load.load(archive, sockets, names)):
        click.echo(loaded)


@COMMAND.command("list")
@click.option("--name", default=settings.DEFAULT_NAME, show_default=True, help="The cluster.")
def list_images(name: str) -> None:
    """List the images of every node."""
    cluster = _cluster.of(name)
    for node in cluster.nodes:
        for image in asyncio.run(load.images(node.containerd_socket)):
            click.echo(f"{node.name}\t{image.name}\t{image.digest}")
