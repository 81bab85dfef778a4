"""``trireme cloud``: the cloud's controllers alone, for any API server and any provider.

Upstream: cloud-controller-manager. The kubeconfig's user reads nodes and Services for all; each
controller writes as its service account in kube-system, or all write as that user.
"""

from __future__ import annotations

import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import click

from trireme.client import kubeconfig
from trireme.cloud.settings import Settings as CloudSettings
from trireme.cluster.commands import _standalone, _types
from trireme.kit.env import Env

_DEFAULTS = CloudSettings()


@click.command()
@_standalone.KUBECONFIG
@click.option(
    "--cloud-provider",
    required=True,
    type=_types.PROVIDER,
    help="MODULE:FUNCTION, or the name of an installed one.",
)
@click.option("--cloud-config", type=_types.EXISTING, help="The provider's own file.")
@click.option(
    "--cluster-name",
    type=_types.SUBDOMAIN,
    default=_DEFAULTS.cluster_name,
    show_default=True,
    help="What the provider calls the cluster.",
)
@click.option("--allocate-node-cidrs", is_flag=True, help="Nodes have pod networks: make routes.")
@click.option(
    "--cluster-cidr",
    "cluster_cidrs",
    type=_types.CIDR,
    multiple=True,
    help="All pods; with --allocate-node-cidrs. One for each IP family.",
)
@click.option(
    "--configure-cloud-routes",
    type=click.Choice(["true", "false"]),
    default="true",
    show_default=True,
    help="Make routes to the nodes' pod networks.",
)
@click.option(
    "--route-reconciliation-period", type=_types.SECONDS, default="10s", show_default=True
)
@click.option(
    "--node-monitor-period",
    type=_types.SECONDS,
    default="5s",
    show_default=True,
)
@click.option(
    "--node-status-update-frequency", type=_types.SECONDS, default="5m", show_default=True
)
@click.option("--concurrent-service-syncs", type=_types.WORKERS, default=1, show_default=True)
@click.option("--concurrent-node-syncs", type=_types.WORKERS, default=1, show_default=True)
@click.option(
    "--leader-elect",
    type=click.Choice(["true", "false"]),
    default="true",
    show_default=True,
    help="Of several copies, one works.",
)
@click.option(
    "--use-service-account-credentials",
    type=click.Choice(["true", "false"]),
    default="false",
    show_default=True,
    help="Each controller writes as its own service account; false: as the kubeconfig's user.",
)
def COMMAND(
    path: Path,
    cloud_provider: str,
    cloud_config: Path | None,
    cluster_name: str,
    allocate_node_cidrs: bool,
    cluster_cidrs: tuple[str, ...],
    configure_cloud_routes: str,
    route_reconciliation_period: float,
    node_monitor_period: float,
    node_status_update_frequency: float,
    concurrent_service_syncs: int,
    concurrent_node_syncs: int,
    leader_elect: str,
    use_service_account_credentials: str,
) -> None:
    """Run the cloud's controllers alone in the foreground."""
    from trireme.cloud import providers

    routes = allocate_node_cidrs and configure_cloud_routes == "true"
    if routes and not cluster_cidrs:
        raise click.UsageError("--allocate-node-cidrs needs --cluster-cidr")
    # Providers that are not installed lie beside the user, as modules of Python's -m do.
    sys.path.insert(0, "")
    make = providers.find(cloud_provider)
    settings = CloudSettings(
        cluster_name=cluster_name,
        cluster_cidrs=cluster_cidrs if routes else (),
        route_period=route_reconciliation_period,
        node_period=node_monitor_period,
        node_status_period=node_status_update_frequency,
        concurrent_service_syncs=concurrent_service_syncs,
        concurrent_node_syncs=concurrent_node_syncs,
    )

    async def main(env: Env) -> None:
        from trireme.cluster import account_clients, cloud_controllers
        from trireme.controllers import manager
        from trireme.runtime.election import LeaderElection

        provider = make(providers.ProviderArguments(env, cluster_name, cloud_config))
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                _standalone.client(path, "cloud-controller-manager")
            )
            clients = {name: client for name in cloud_controllers.accounts()}
            if use_service_account_credentials == "true":
                access = kubeconfig.load(path)
                clients = await stack.enter_async_context(
                    account_clients.of(env, access, client, clients)
                )
            config = manager.ManagerConfig(
                client=client,
                client_for=clients.__getitem__,
                own=cloud_controllers.definitions(provider, settings),
                election=LeaderElection(name=cloud_controllers.LEASE),
                candidate=f"{socket.gethostname()}_{env.uid()}" if leader_elect == "true" else "",
            )
            await manager.run(config, env)

    _standalone.run("cloud", main)
