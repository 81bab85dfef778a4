"""``trireme scheduler``: a scheduler alone, for any API server."""

from __future__ import annotations

from collections.abc import Mapping

from trireme.cluster import flags
from trireme.cluster.commands import _component, _standalone
from trireme.cluster.commands._scheduler_flags import GROUPS, Options
from trireme.kit.env import Env

_NAME = "kube-scheduler"


def _run(options: Options, given: Mapping[str, str]) -> None:
    component = options.component
    access = _component.access(component)
    _component.gates(component, ())

    async def main(env: Env) -> None:
        from trireme.cluster.served import Served
        from trireme.runtime.serving.health import Checks
        from trireme.scheduler import loop

        health = Checks()
        served = Served(
            name=_NAME,
            health={"/healthz": health, "/livez": Checks(), "/readyz": health},
            flags=_component.flagz(COMMAND, given),
        )
        async with _component.connected(component, access, served, env) as (client, _):
            config = loop.SchedulerConfig(
                client=client, longest_unschedulable=options.longest_unschedulable
            )
            await _component.lead(component, client, env, health, lambda: loop.run(config, env))

    _standalone.run("scheduler", main)


COMMAND = flags.Command(GROUPS, Options(), _run, "Run a scheduler alone in the foreground.")
