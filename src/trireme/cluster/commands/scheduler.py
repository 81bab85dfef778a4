"""``trireme scheduler``: a scheduler alone, for any API server."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.cluster.commands import _standalone
from trireme.kit.env import Env


@click.command()
@_standalone.KUBECONFIG
def COMMAND(path: Path) -> None:
    """Run a scheduler alone in the foreground."""

    async def main(env: Env) -> None:
        from trireme.scheduler import loop

        async with _standalone.client(path, "kube-scheduler") as client:
            await loop.run(loop.SchedulerConfig(client=client), env)

    _standalone.run("scheduler", main)
