"""The in-process topology: a whole cluster on one event loop, with injected time and chance.

In: an ``Env`` (with the virtual clock and a seeded generator in tests) and, for nodes, the
machine's replacements (``MakeParts``: a fake runtime, files in memory). Out: an
``InProcessCluster``, which ends with the ``async with``. Components call the API server in process,
each as its own user and so under its own RBAC. A cluster is a value: any number of independent ones
live in one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trireme.apiserver import chain, run
from trireme.apiserver.authn.contract import AUTHENTICATED
from trireme.apiserver.bootstrap import run as bootstrap
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.request import User
from trireme.apiserver.server import ApiServer
from trireme.client import agent as agents
from trireme.client.client import Client
from trireme.client.inproc import InProcess
from trireme.client.transport import Transport
from trireme.cluster import direct, local_path
from trireme.controllers import manager
from trireme.controllers.settings import Settings, Signing
from trireme.kit import env as envs
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.kubelet import component as kubelet
from trireme.kubelet.config import KubeletConfig
from trireme.scheduler import loop as scheduler
from trireme.store.memory import MemoryStore

ADMIN = User("kubernetes-admin", groups=("system:masters", AUTHENTICATED))
# Makes the parts of a node from its environment and its client.
MakeParts = Callable[[Env, Client], kubelet.Parts]
Main = Callable[[Env], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Keys:
    """The keys of a cluster: PEM of what signs service-account tokens, and its authority."""

    signing: bytes
    authority: pki.Pair

    @staticmethod
    def new(env: Env) -> Keys:
        """Fresh ones."""
        return Keys(pki.new_key(), pki.new_authority("kubernetes", env.clock.now()))


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a cluster is made of. ``store``: an empty one, or that of an earlier cluster with its
    ``keys``. ``controllers`` and ``feature_gates`` are those of the flags; ``config`` are further
    fields of ``ApiServerConfig``. ``wrap`` is given the transport of every client and its user's
    name, and returns the one that is used. ``answers`` answers requests."""

    store: MemoryStore = field(default_factory=MemoryStore)
    keys: Keys | None = None
    controllers: Sequence[str] = ("*",)
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    wrap: Callable[[Transport, str], Transport] | None = None
    answers: chain.Answers = chain.handle


class InProcessCluster:
    """A running cluster. ``client`` may do everything; ``client_for`` acts as another user."""

    def __init__(
        self, server: ApiServer, env: Env, group: asyncio.TaskGroup, setup: Setup, keys: Keys
    ) -> None:
        self.server = server
        self.env = env
        self.setup = setup
        self.keys = keys
        self._group = group
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.client = self.client_for(ADMIN)

    def client_for(self, user: User) -> Client:
        """A client that is authenticated as ``user``."""
        transport: Transport = InProcess(direct.handler(self.server, user, self.setup.answers))
        if self.setup.wrap is not None:
            transport = self.setup.wrap(transport, user.name)
        return Client(transport, user_agent=agents.of_user(user.name), clock=self.env.clock)

    async def start(self, name: str, main: Main) -> None:
        """Run a component until ``stop``; returns when it has started."""
        task = await envs.start(self._group, self.env.named(name), main, name)
        self._tasks[name] = task

    def runs(self, name: str) -> bool:
        """Whether a component or node runs."""
        return name in self._tasks

    async def stop(self, name: str) -> None:
        """End a component as if its process had been killed."""
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait({task})

    async def start_node(
        self, name: str, parts: MakeParts, config: KubeletConfig | None = None
    ) -> None:
        """Run a node's kubelet; ``stop(name)`` ends it as if the node had lost power."""
        settings = config or KubeletConfig(
            node_name=name,
            node_ips=(f"192.0.2.{len(self._tasks) + 1}",),
            cluster_dns=("10.96.0.10",),
            labels={"kubernetes.io/hostname": name},
        )
        user = User(f"system:node:{name}", groups=("system:nodes", AUTHENTICATED))
        client = self.client_for(user)

        async def main(env: Env) -> None:
            await kubelet.run(settings, env, parts(env, client))

        await self.start(name, main)

    async def advance(self, seconds: float) -> None:
        """Let time pass; under the virtual clock it takes none."""
        await self.env.clock.sleep(seconds)


@asynccontextmanager
async def api_server(env: Env, setup: Setup | None = None) -> AsyncIterator[InProcessCluster]:
    """An API server alone, on the memory store, with its bootstrap objects."""
    setup = setup or Setup()
    keys = setup.keys or Keys.new(env)
    async with setup.store as store, asyncio.TaskGroup() as group:
        config = ApiServerConfig(
            store=store,
            service_accounts=ServiceAccountKeys(keys.signing),
            warn_unimplemented=True,
            feature_gates=setup.feature_gates,
            **setup.config,
        )
        server = ApiServer(config, env.named("apiserver"))
        await bootstrap.run(server.context)
        tasks = run.start_post_start_hooks(server.context, group)
        cluster = InProcessCluster(server, env, group, setup, keys)
        try:
            yield cluster
        finally:
            for name in list(cluster._tasks):
                await cluster.stop(name)
            for task in tasks:
                task.cancel()
            await server.close()


@asynccontextmanager
async def control_plane(env: Env, setup: Setup | None = None) -> AsyncIterator[InProcessCluster]:
    """API server, controllers and scheduler."""
    async with api_server(env, setup) as cluster:
        await start_controllers(cluster)
        await start_scheduler(cluster)
        yield cluster


async def start_controllers(cluster: InProcessCluster) -> None:
    """Run the controllers; again after ``stop("controllers")``."""
    await cluster.start("controllers", lambda own: manager.run(_manager(cluster), own))


async def start_scheduler(cluster: InProcessCluster) -> None:
    """Run the scheduler; again after ``stop("scheduler")``."""
    client = cluster.client_for(_component("kube-scheduler"))
    config = scheduler.SchedulerConfig(client=client)
    await cluster.start("scheduler", lambda own: scheduler.run(config, own))


def _manager(cluster: InProcessCluster) -> manager.ManagerConfig:
    def account(name: str) -> Client:
        groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED)
        user = User(f"system:serviceaccount:kube-system:{name}", groups=groups)
        return cluster.client_for(user)

    authority = cluster.keys.authority
    gates = cluster.setup.feature_gates
    return manager.ManagerConfig(
        client=cluster.client_for(_component("kube-controller-manager")),
        client_for=account,
        # Nothing is served over TLS here, but pods mount the root CA.
        # With one API server no cache is stale about deleted namespaces.
        settings=Settings(
            root_ca=authority.certificate.decode(),
            signing=Signing.by(authority),
            namespace_delay=0.0,
            feature_gates=frozenset(name for name, on in gates.items() if on),
        ),
        controllers=cluster.setup.controllers,
        extra=[local_path.definition(Path("/var/lib/trireme/storage"), local_path.NoFiles())],
    )


def _component(name: str) -> User:
    return User(f"system:{name}", groups=(AUTHENTICATED,))
