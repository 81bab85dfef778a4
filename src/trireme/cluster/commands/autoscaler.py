"""``trireme autoscaler``: the cluster autoscaler alone, for any provider with node groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from trireme.cluster import flags
from trireme.cluster.commands import _component, _standalone
from trireme.cluster.commands._autoscaler_flags import GROUPS, Options
from trireme.kit.env import Env


def _run(options: Options, given: Mapping[str, str]) -> None:
    access = _component.access(options.component)
    make = _component.provider(options.cloud_provider)

    async def main(env: Env) -> None:
        from trireme.cloud.providers import ProviderArguments
        from trireme.cluster import autoscaler_access, cloud_controllers
        from trireme.cluster.served import Served
        from trireme.controllers import manager

        provider = make(ProviderArguments(env, "kubernetes", options.cloud_config))
        served = Served(name=autoscaler_access.ACCOUNT, flags=_component.flagz(COMMAND, given))
        async with _component.manager(options, access, served, env) as config:
            own = [cloud_controllers.autoscaler(provider, options.settings)]
            await manager.run(dataclasses.replace(config, own=own), env)

    _standalone.run("autoscaler", main)


COMMAND = flags.Command(
    GROUPS, Options(), _run, "Run the cluster autoscaler alone in the foreground."
)
