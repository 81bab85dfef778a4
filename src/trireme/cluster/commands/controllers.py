"""``trireme controllers``: all controllers alone, for any API server.

The kubeconfig's user reads for all controllers. Each writes as its service account in kube-system,
whose token that user requests, as system:kube-controller-manager may; or all write as that user,
who then needs what they all need together, as ``system:masters`` has.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
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
@click.option(
    "--use-service-account-credentials",
    type=click.Choice(["true", "false"]),
    default="true",
    show_default=True,
    help="Each controller writes as its own service account; false: as the kubeconfig's user.",
)
def COMMAND(
    path: Path,
    allocate_node_cidrs: bool,
    cluster_cidrs: tuple[str, ...],
    node_cidr_mask_size: int | None,
    service_cidrs: tuple[str, ...],
    use_service_account_credentials: str,
) -> None:
    """Run the controllers alone in the foreground."""
    if allocate_node_cidrs:
        if not cluster_cidrs:
            raise click.UsageError("--allocate-node-cidrs needs --cluster-cidr")
        try:
            plan_ipam.make_sets(cluster_cidrs, node_cidr_mask_size, service_cidrs)
        except ValueError as problem:
            raise click.UsageError(str(problem)) from None

    async def main(env: Env) -> None:
        from trireme.cluster import account_clients
        from trireme.controllers import manager, settings

        access = kubeconfig.load(path)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                _standalone.client(path, "kube-controller-manager")
            )
            clients = {name: client for name in manager.identities()}
            if use_service_account_credentials == "true":
                clients = await stack.enter_async_context(
                    account_clients.of(env, access, client, clients)
                )
            config = manager.ManagerConfig(
                client=client,
                client_for=clients.__getitem__,
                settings=settings.Settings(
                    root_ca=access.tls.authority.decode(),
                    cluster_cidrs=cluster_cidrs if allocate_node_cidrs else (),
                    node_cidr_mask_size=node_cidr_mask_size,
                    service_cidrs=service_cidrs,
                ),
            )
            await manager.run(config, env)

    _standalone.run("controllers", main)
