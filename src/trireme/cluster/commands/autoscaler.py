"""``trireme autoscaler``: the cluster autoscaler alone, for any provider with node groups.

Flags are upstream's.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from trireme.cloud.autoscaler.settings import EXPANDERS, Settings
from trireme.cluster.commands import _standalone, _types
from trireme.kit.env import Env

_DEFAULTS = Settings()
# Upstream's flag, the field of the settings that it sets, and the type of its value.
_FLAGS: tuple[tuple[str, str, click.ParamType[Any] | None], ...] = (
    ("--scan-interval", "scan_interval", _types.SECONDS),
    ("--new-pod-scale-up-delay", "new_pod_delay", _types.SECONDS_OR_NONE),
    ("--expendable-pods-priority-cutoff", "priority_cutoff", _types.PRIORITY),
    ("--expander", "expander", click.Choice(EXPANDERS)),
    ("--max-nodes-total", "max_nodes_total", _types.COUNT),
    ("--max-node-provision-time", "provision_time", _types.SECONDS),
    ("--initial-node-group-backoff-duration", "first_backoff", _types.SECONDS),
    ("--max-node-group-backoff-duration", "max_backoff", _types.SECONDS),
    ("--scale-down-enabled", "scale_down", None),
    ("--scale-down-utilization-threshold", "utilization", click.FloatRange(0.0, 1.0)),
    ("--scale-down-unneeded-time", "unneeded_time", _types.SECONDS),
    ("--scale-down-unready-time", "unready_time", _types.SECONDS),
    ("--scale-down-delay-after-add", "delay_after_add", _types.SECONDS_OR_NONE),
    ("--scale-down-delay-after-delete", "delay_after_delete", _types.SECONDS_OR_NONE),
    ("--scale-down-delay-after-failure", "delay_after_failure", _types.SECONDS_OR_NONE),
    ("--max-scale-down-parallelism", "parallel", _types.WORKERS),
    ("--max-drain-parallelism", "parallel_drain", _types.WORKERS),
    ("--skip-nodes-with-local-storage", "skip_local_storage", None),
    ("--skip-nodes-with-system-pods", "skip_system_pods", None),
    ("--skip-nodes-with-custom-controller-pods", "skip_custom_controllers", None),
    ("--max-graceful-termination-sec", "graceful_termination", _types.COUNT),
    ("--max-pod-eviction-time", "eviction_time", _types.SECONDS),
    ("--max-bulk-soft-taint-count", "soft_taints", _types.COUNT),
    ("--status-config-map-name", "status_config_map", _types.SUBDOMAIN),
)


def _flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add all flags, with the defaults of the settings. One without a type is true or false."""
    for flag, field, type_ in reversed(_FLAGS):
        default = getattr(_DEFAULTS, field)
        if type_ is None:
            type_, default = _types.TRUTH, "true" if default else "false"
        elif isinstance(type_, _types.Checked):
            default = f"{default:.0f}s" if isinstance(default, float) else default
        option = click.option(flag, field, type=type_, default=default, show_default=True)
        command = option(command)
    return command


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
    "--leader-elect",
    type=click.Choice(["true", "false"]),
    default="true",
    show_default=True,
    help="Of several copies, one works.",
)
@_flags
def COMMAND(
    path: Path, cloud_provider: str, cloud_config: Path | None, leader_elect: str, **fields: Any
) -> None:
    """Run the cluster autoscaler alone in the foreground."""
    from trireme.cloud import providers

    # Providers that are not installed lie beside the user, as modules of Python's -m do.
    sys.path.insert(0, "")
    make = providers.find(cloud_provider)

    async def main(env: Env) -> None:
        from trireme.cluster import autoscaler_access, cloud_controllers
        from trireme.controllers import manager
        from trireme.runtime.election import LeaderElection

        provider = make(providers.ProviderArguments(env, "kubernetes", cloud_config))
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(_standalone.client(path, "cluster-autoscaler"))
            config = manager.ManagerConfig(
                client=client,
                client_for=lambda account: client,
                own=[cloud_controllers.autoscaler(provider, Settings(**fields))],
                election=LeaderElection(name=autoscaler_access.ACCOUNT),
                candidate=f"{socket.gethostname()}_{env.uid()}" if leader_elect == "true" else "",
            )
            await manager.run(config, env)

    _standalone.run("autoscaler", main)
