"""``trireme proxy``: a node's Service proxy alone. Needs root, for nftables."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.cluster.commands import _alone
from trireme.cluster.hosts import plan
from trireme.kit.env import Env


@click.command()
@_alone.KUBECONFIG
@_alone.NODE_NAME
@_alone.NODE_IP
@click.option("--pod-cidr", default=plan.POD_NETWORK, show_default=True, help="All pods.")
@click.option("--service-cidr", default=plan.SERVICE_NETWORK, show_default=True)
@click.option("--table", default="kube-proxy", show_default=True, help="The nftables table.")
@click.option("--health", default="", metavar="ADDRESS:PORT", help="Where /healthz is served.")
def COMMAND(
    path: Path,
    node_name: str,
    node_ip: str,
    pod_cidr: str,
    service_cidr: str,
    table: str,
    health: str,
) -> None:
    """Run a Service proxy alone in the foreground, in this network namespace.

    Its nftables table stays when it ends, as connections need it: `nft delete table ip NAME`.
    """
    where = _alone.address(health, "--health") if health else None

    async def main(env: Env) -> None:
        from trireme.proxy import run

        async with _alone.client(path, "kube-proxy") as client:
            config = run.ProxyConfig(
                client=client,
                node_name=node_name,
                node_ips=(node_ip,),
                pod_cidrs=(pod_cidr,),
                service_cidrs=(service_cidr,),
                table=table,
                health=where,
            )
            await run.run(config, env)

    _alone.run("proxy", main)
