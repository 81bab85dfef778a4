"""``trireme image build|load|list``: images for a cluster that has no registry."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

import click
import msgspec

from trireme.cluster.commands import _cluster, _types
from trireme.cluster.images import build, check, debian, load
from trireme.cluster.images.build import Config, ImageSpec


@click.group()
def COMMAND() -> None:
    """Make images and load them into nodes."""


@COMMAND.command("build")
@click.argument("image", type=_types.IMAGE)
@click.option("--folder", type=click.Path(exists=True, file_okay=False), help="Files to put in.")
@click.option(
    "--package",
    "packages",
    type=_types.PACKAGE,
    multiple=True,
    help="A Debian package to install, with all that it needs; needs root.",
)
@click.option(
    "--entrypoint",
    type=_types.WORD,
    multiple=True,
    help="A word of the entry point; may be repeated.",
)
@click.option(
    "--cmd",
    type=_types.WORD,
    multiple=True,
    help="A word of the default arguments; may be repeated.",
)
@click.option(
    "--env",
    "environment",
    type=_types.VARIABLE,
    multiple=True,
    help="NAME=VALUE; may be repeated.",
)
@click.option("--user", type=_types.USER, help="User or user:group that runs it.")
@click.option("--workdir", type=_types.ABSOLUTE, help="Where it starts.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
def build_image(
    image: str,
    folder: str | None,
    packages: tuple[str, ...],
    entrypoint: tuple[str, ...],
    cmd: tuple[str, ...],
    environment: tuple[str, ...],
    user: str | None,
    workdir: str | None,
    output: Path,
) -> None:
    """Build IMAGE from a folder, from Debian packages, or both, into an OCI archive.

    Packages are installed as on a machine, so that their users, folders and configuration are in
    the image. What the image lacks to start its entry point is named, and nothing is built.
    """
    files = debian.install(packages) if packages else []
    if folder is not None:
        files += build.folder(folder)
    if not files:
        raise click.UsageError("nothing to put in: give --folder, --package, or both")
    config = Config(entrypoint, cmd, user=user or "", workdir=workdir or "/")
    if environment:
        kept = () if any(line.startswith("PATH=") for line in environment) else config.env
        config = msgspec.structs.replace(config, env=(*kept, *environment))
    if lacks := check.missing(files, config):
        raise build.BuildFailed(
            f"containers of {image} could not start: it lacks {', '.join(lacks)}"
        )
    spec = ImageSpec((image,), tuple(files), config, platform.machine())
    output.write_bytes(build.build([spec]))
    click.echo(f"{output}: {spec.names[0]}", err=True)


@COMMAND.command("load")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False))
@click.argument("names", type=_types.IMAGE, nargs=-1)
@_types.NAME
def load_image(archive: str, names: tuple[str, ...], name: str) -> None:
    """Load an OCI or Docker ARCHIVE into every node; NAMES choose or rename its images."""
    cluster = _cluster.of(name)
    sockets = [node.containerd_socket for node in cluster.nodes]
    for loaded in asyncio.run(load.load(archive, sockets, names)):
        click.echo(loaded)


@COMMAND.command("list")
@_types.NAME
def list_images(name: str) -> None:
    """List the images of every node."""
    cluster = _cluster.of(name)
    for node in cluster.nodes:
        for image in asyncio.run(load.images(node.containerd_socket)):
            click.echo(f"{node.name}\t{image.name}\t{image.digest}")
