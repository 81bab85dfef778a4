"""``trireme controllers``: all controllers alone, for any API server.

With one kubeconfig every controller acts as its user; who that is needs what they all need
together, as ``system:masters`` or the role of system:kube-controller-manager has.
"""

from __future__ import annotations

from pathlib import Path

import click

from trireme.client import kubeconfig
from trireme.cluster.commands import _standalone, _types
from trireme.controllers.nodes import plan_ipam
from trireme.kit.env import Env


@click.command()
@_standalone.KUBECONFIG
@click.option("--allocate-node-cidrs", is_flag=True, help="Nodes get their pod networks here.")
@click.option(
    "--cluster-cidr",
    "cluster_cidrs",
    type=_types.CIDR,
    multiple=True,
    help="All pods; with --allocate-node-cidrs. One for each IP family.",
)
@click.option(
    "--node-cidr-mask-size",
    type=click.IntRange(1, 128),
    help="Bits of the prefix of a node's pod network.  [default: 24; IPv6: 64]",
)
@click.option(
    "--service-cluster-ip-range",
    "service_cidrs",
    type=_types.CIDR,
    multiple=True,
    help="Services: no node gets these addresses.",
)
def COMMAND(
    path: Path,
    allocate_node_cidrs: bool,
    cluster_cidrs: tuple[str, ...],
    node_cidr_mask_size: int | None,
    service_cidrs: tuple[str, ...],
) -> None:
    """Run the controllers alone in the foreground, all as the kubeconfig's user."""
    if allocate_node_cidrs:
        if not cluster_cidrs:
            raise click.UsageError("--allocate-node-cidrs needs --cluster-cidr")
        try:
            plan_ipam.make_sets(cluster_cidrs, node_cidr_mask_size, service_cidrs)
        except ValueError as problem:
            raise click.UsageError(str(problem)) from None

    async def main(env: Env) -> None:
        from trireme.controllers import manager, settings

        authority = kubeconfig.load(path).tls.authority
        async with _standalone.client(path, "kube-controller-manager") as client:
            config = manager.ManagerConfig(
                client=client,
                client_for=lambda _name: client,
                settings=settings.Settings(
                    root_ca=authority.decode(),
                    cluster_cidrs=cluster_cidrs if allocate_node_cidrs else (),
                    node_cidr_mask_size=node_cidr_mask_size,
                    service_cidrs=service_cidrs,
                ),
            )
            await manager.run(config, env)

    _standalone.run("controllers", main)
