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
    _component.check(component)
    _component.gates(component, ())

    async def main(env: Env) -> None:
        from trireme.cluster.served import Served
        from trireme.runtime.serving.health import Checks
        from trireme.scheduler import loop

        _component.log_level(component)
        health = Checks()
        served = Served(
            name=_NAME,
            health={"/healthz": health, "/livez": Checks(), "/readyz": health},
            flags=_component.flagz(COMMAND, given),
        )
        wrap = _component.measuring(component, env, access.server)
        async with (
            _component.serving(component, served, env),
            _component.client(access, _NAME, wrap) as client,
        ):
            config = loop.SchedulerConfig(
                client=client, longest_unschedulable=options.longest_unschedulable
            )
            await _component.lead(component, client, env, health, lambda: loop.run(config, env))

    _standalone.run("scheduler", main)


COMMAND = flags.Command(GROUPS, Options(), _run, "Run a scheduler alone in the foreground.")
