"""``trireme cloud``: the cloud's controllers alone, for any API server and any provider.

Upstream: cloud-controller-manager. The kubeconfig's user reads nodes and Services for all; each
controller writes as its service account in kube-system, or all write as that user.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import click

from trireme.cluster import flags
from trireme.cluster.commands import _component, _manager_configz, _standalone
from trireme.cluster.commands._cloud_flags import GROUPS, Options
from trireme.kit.env import Env

_CONFIGURATION = "CloudControllerManagerConfiguration"


def _run(options: Options, given: Mapping[str, str]) -> None:
    from trireme.cluster import cloud_controllers
    from trireme.controllers import names

    settings = options.settings
    access = _component.access(options.component)
    _component.gates(options.component, ())
    names.Selection(options.controllers, cloud_controllers.names())
    if not (options.allocate_node_cidrs and options.configure_cloud_routes):
        settings = dataclasses.replace(settings, cluster_cidrs=())
    elif not settings.cluster_cidrs:
        raise click.UsageError("--allocate-node-cidrs needs --cluster-cidr")
    make = _component.provider(options.cloud_provider)

    async def main(env: Env) -> None:
        from trireme.cloud.providers import ProviderArguments
        from trireme.cluster.served import Served
        from trireme.controllers import manager

        provider = make(ProviderArguments(env, settings.cluster_name, options.cloud_config))
        own = cloud_controllers.definitions(provider, settings)
        served = Served(
            name=cloud_controllers.NAME,
            flags=_component.flagz(COMMAND, given),
            configz=_manager_configz.document(GROUPS, _CONFIGURATION, options, given),
        )
        accounts = {item.account for item in own}
        async with _component.manager(options, access, served, env, accounts) as config:
            await manager.run(dataclasses.replace(config, own=own), env)

    _standalone.run("cloud", main)


COMMAND = flags.Command(
    GROUPS, Options(), _run, "Run the cloud's controllers alone in the foreground."
)
