"""``trireme controllers``: all controllers alone, for any API server.

With one kubeconfig every controller acts as its user; who that is needs what they all need
together, as ``system:masters`` or the role of system:kube-controller-manager has.
"""

from __future__ import annotations

from pathlib import Path

import click

from trireme.client import kubeconfig
from trireme.cluster.commands import _standalone
from trireme.kit.env import Env


@click.command()
@_standalone.KUBECONFIG
def COMMAND(path: Path) -> None:
    """Run the controllers alone in the foreground, all as the kubeconfig's user."""

    async def main(env: Env) -> None:
        from trireme.controllers import manager, settings

        authority = kubeconfig.load(path).tls.authority
        async with _standalone.client(path, "kube-controller-manager") as client:
            config = manager.ManagerConfig(
                client=client,
                client_for=lambda _name: client,
                settings=settings.Settings(root_ca=authority.decode()),
            )
            await manager.run(config, env)

    _standalone.run("controllers", main)
