"""``trireme proxy``: a node's Service proxy alone. Needs root, for nftables."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.client import kubeconfig
from trireme.cluster.commands import _standalone, _types
from trireme.cluster.hosts import plan
from trireme.kit.env import Env


@click.command()
@_standalone.KUBECONFIG
@_standalone.NODE_NAME
@_standalone.NODE_IP
@click.option(
    "--pod-cidr",
    type=_types.CIDR,
    default=plan.POD_NETWORK,
    show_default=True,
    help="All pods.",
)
@click.option("--service-cidr", type=_types.CIDR, default=plan.SERVICE_NETWORK, show_default=True)
@click.option(
    "--table",
    type=_types.TABLE,
    default="kube-proxy",
    show_default=True,
    help="The nftables table.",
)
@click.option("--health", type=_types.ADDRESS_PORT, help="Where /healthz is served.")
def COMMAND(
    path: Path,
    node_name: str,
    node_ip: str,
    pod_cidr: str,
    service_cidr: str,
    table: str,
    health: tuple[str, int] | None,
) -> None:
    """Run a Service proxy alone in the foreground, in this network namespace.

    Its nftables table stays when it ends, as connections need it: `nft delete table ip NAME`.
    """

    async def main(env: Env) -> None:
        from trireme.proxy import run

        async with _standalone.client(kubeconfig.load(path), "kube-proxy") as client:
            config = run.ProxyConfig(
                client=client,
                node_name=node_name,
                node_ips=(node_ip,),
                pod_cidrs=(pod_cidr,),
                service_cidrs=(service_cidr,),
                table=table,
                health=health,
            )
            await run.run(config, env)

    _standalone.run("proxy", main)
