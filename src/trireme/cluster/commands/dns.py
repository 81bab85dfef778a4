"""``trireme dns``: a DNS server for a cluster's Services, alone."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.cluster import compose
from trireme.cluster.commands import _alone
from trireme.cluster.settings import DOMAIN
from trireme.kit.env import Env


@click.command()
@_alone.KUBECONFIG
@click.option("--listen", required=True, metavar="ADDRESS:PORT", help="By UDP and TCP.")
@click.option("--domain", default=DOMAIN, show_default=True, help="The cluster's domain.")
def COMMAND(path: Path, listen: str, domain: str) -> None:
    """Run a DNS server alone in the foreground; other names go to this machine's resolvers."""
    where = _alone.address(listen, "--listen")

    async def main(env: Env) -> None:
        from trireme.dns import run

        async with _alone.client(path, "kube-dns") as client:
            config = run.DnsConfig(
                client=client, listen=(where,), domain=domain, resolvers=compose.outside()
            )
            await run.run(config, env)

    _alone.run("dns", main)
