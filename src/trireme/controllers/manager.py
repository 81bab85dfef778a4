"""The component that runs all controllers.

In: ``ManagerConfig``. Out: writes through the API, each controller's as its own user. Run by the
composition root (``cluster/compose``), once per copy of the control plane; several copies name a
``candidate`` and elect a leader. Upstream: cmd/kube-controller-manager;
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trireme import controllers
from trireme.client.client import Client
from trireme.controllers import names
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.settings import Settings
from trireme.kit import catalog, metrics
from trireme.kit.env import Env
from trireme.runtime.component import Running
from trireme.runtime.election import Election, LeaderElection
from trireme.runtime.informer import Informers
from trireme.runtime.recorder import EventRecorder
from trireme.runtime.serving.health import Checks

NAME = "kube-controller-manager"


@dataclass(frozen=True, kw_only=True)
class ManagerConfig:
    """``client`` is system:kube-controller-manager: the shared caches read with it.

    ``client_for`` gives the client of ``system:serviceaccount:kube-system:<account>``.
    ``candidate`` is this copy's name in the leader election, "" for the only copy. ``controllers``
    says which run, in the words of upstream's ``--controllers``; ``extra`` are not upstream's, or
    a cloud's. Another component with controllers of its own has ``election`` and ``own``, which are
    instead of those here. Each starts after ``start_interval`` seconds, up to twice as many at
    random, and has ``shutdown_timeout`` seconds to finish what it does. Caches call their handlers
    anew after ``min_resync`` seconds, up to twice as many. ``health`` gets a check for each, and
    for the election.
    """

    client: Client
    client_for: Callable[[str], Client]
    settings: Settings = field(default_factory=Settings)
    candidate: str = ""
    election: LeaderElection = field(default_factory=lambda: LeaderElection(name=NAME))
    controllers: Sequence[str] = ("*",)
    extra: Sequence[Definition] = ()
    own: Sequence[Definition] | None = None
    start_interval: float = 0.0
    min_resync: float = 12 * 3600.0
    shutdown_timeout: float = 0.0
    health: Checks = field(default_factory=Checks)


async def run(config: ManagerConfig, env: Env) -> None:
    """Run all controllers until cancelled; with a ``candidate``, while this copy leads."""
    if not config.candidate:
        await _work(config, env)
        return
    # A copy that waits for the lease is ready, too.
    env.started()
    election = Election(config.client, config.election, config.candidate, env)
    config.health.add("leaderElection", election.problem)
    await election.lead(lambda: _work(config, env))


def definitions() -> list[Definition]:
    """All controllers, by folder and file."""
    return catalog.instances(controllers, Definition)


def identities() -> list[str]:
    """The service accounts in kube-system that the controllers act as."""
    return sorted({item.account for item in definitions() if not item.as_manager})


def enabled(config: ManagerConfig) -> list[Definition]:
    """The controllers that run. ValueError for a name that no controller has."""
    own = definitions() if config.own is None else config.own
    every = [*own, *config.extra]
    selected = names.Selection(config.controllers, {item.name for item in every})
    gates = config.settings.feature_gates
    return [
        item
        for item in every
        if selected.enables(item.name, item.on_by_default) and (not item.gate or item.gate in gates)
    ]


async def _work(config: ManagerConfig, env: Env) -> None:
    running = enabled(config)
    env = dataclasses.replace(env, grace=config.shutdown_timeout)
    informers = Informers(config.client, env, resync=config.min_resync)
    count = metrics.gauge(
        env.metrics,
        "running_managed_controllers",
        "Whether a controller runs",
        ["name", "manager"],
    )
    # The controllers end first: what they finish needs caches and is reported by events.
    async with asyncio.TaskGroup() as services, asyncio.TaskGroup() as group:
        for definition in running:
            own = dataclasses.replace(env, log=env.log.getChild(definition.name))
            acts = config.client if definition.as_manager else config.client_for(definition.account)
            recorder = EventRecorder(acts, definition.component or definition.account, "", own)
            context = ControllerContext(
                client=acts,
                informers=informers,
                recorder=recorder,
                env=own,
                settings=config.settings,
            )
            made = definition.make(context)
            if made is not None:
                config.health.add(definition.name)
                count.labels(definition.name, config.election.name).set(1)
                group.create_task(_run(made, config.start_interval, own), name=definition.name)
                services.create_task(recorder.run(), name=f"{definition.name}/events")
        informers.start(services)
        await informers.synced()
        env.started()


async def _run(controller: Running, interval: float, env: Env) -> None:
    if interval:
        await env.clock.sleep(interval * (1.0 + env.rng.random()))
    await controller.run()
