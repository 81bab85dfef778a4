"""``trireme dns``: a DNS server for a cluster's Services, alone."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.client import kubeconfig
from trireme.cluster import compose
from trireme.cluster.commands import _standalone, _types
from trireme.cluster.settings import DOMAIN
from trireme.kit.env import Env


@click.command()
@_standalone.KUBECONFIG
@click.option("--listen", type=_types.ADDRESS_PORT, required=True, help="By UDP and TCP.")
@click.option(
    "--domain",
    type=_types.SUBDOMAIN,
    default=DOMAIN,
    show_default=True,
    help="The cluster's domain.",
)
def COMMAND(path: Path, listen: tuple[str, int], domain: str) -> None:
    """Run a DNS server alone in the foreground; other names go to this machine's resolvers."""

    async def main(env: Env) -> None:
        from trireme.dns import run

        async with _standalone.client(kubeconfig.load(path), "kube-dns") as client:
            config = run.DnsConfig(
                client=client, listen=(listen,), domain=domain, resolvers=compose.outside()
            )
            await run.run(config, env)

    _standalone.run("dns", main)
