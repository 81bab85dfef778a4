"""What the commands of the control plane's components share: clients, pages, feature gates.

In: the settings of ``component_flags``. Out: clients that are measured and limited, an HTTPS server
with the component's pages, its name in an election.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from trireme.cluster.commands import _standalone
from trireme.cluster.component_flags import Component, Manager
from trireme.cluster.flags import Command, texts
from trireme.kit.env import Env

API_SERVER_SECONDS = 10.0

if TYPE_CHECKING:
    from trireme.client.client import Client
    from trireme.client.kubeconfig import Access
    from trireme.client.measured import Wrap
    from trireme.cloud.providers import MakeCloud
    from trireme.cluster.served import Served
    from trireme.controllers.manager import ManagerConfig
    from trireme.runtime.serving.health import Checks


def access(component: Component) -> Access:
    """Where the API server is. UsageError without a kubeconfig and --master, and for flags that do
    not fit each other."""
    from trireme.client import kubeconfig

    if bool(component.serving.certificate) != bool(component.serving.key):
        raise click.UsageError("--tls-cert-file and --tls-private-key-file need each other")
    if component.kubeconfig is None and not component.master:
        raise click.UsageError("Missing option '--kubeconfig'.")
    found = (
        kubeconfig.load(component.kubeconfig)
        if component.kubeconfig is not None
        else kubeconfig.Access(server=component.master)
    )
    return msgspec.structs.replace(found, server=component.master or found.server)


def provider(name: str) -> MakeCloud:
    """The function that makes the cloud's provider. UsageError without a name; UnknownProvider."""
    from trireme.cloud import providers

    if not name:
        raise click.UsageError("Missing option '--cloud-provider'.")
    # Providers that are not installed lie beside the user, as modules of Python's -m do.
    sys.path.insert(0, "")
    return providers.find(name)


@asynccontextmanager
async def connected(
    component: Component, access: Access, served: Served, env: Env
) -> AsyncIterator[tuple[Client, Wrap]]:
    """The pages are served. A client as the kubeconfig's user, and what makes the transport of any
    other count its requests and keep to the limit, as this one's does."""
    from trireme.client import measured

    if component.verbosity >= 4:
        logging.getLogger("trireme").setLevel(logging.DEBUG)
    wrap = measured.wrapping(env, access.server, measured.Rate(component.qps, component.burst))
    async with (
        serving(component, served, env),
        _standalone.client(access, served.name, wrap) as client,
    ):
        yield client, wrap


@asynccontextmanager
async def manager(
    options: Manager, access: Access, served: Served, env: Env, accounts: Iterable[str] = ()
) -> AsyncIterator[ManagerConfig]:
    """What the flags say of a manager; its pages are served. ``accounts`` are those that its
    controllers write as, rather than all as the kubeconfig's user, if the flags say so."""
    from trireme.cluster import account_clients
    from trireme.controllers.manager import ManagerConfig

    own = accounts if options.use_service_account_credentials else ()
    async with connected(options.component, access, served, env) as (client, wrap):
        await wait_for_api_server(client, env)
        async with account_clients.of(env, access, client, own, served.name, wrap) as clients:
            yield ManagerConfig(
                client=client,
                client_for=lambda account: clients.get(account, client),
                candidate=candidate(options.component, env),
                election=options.component.election,
                controllers=options.controllers,
                start_interval=options.start_interval,
                min_resync=options.min_resync,
                health=served.health["/healthz"],
            )


async def wait_for_api_server(client: Client, env: Env) -> None:
    """Return once the API server is healthy, or raise after 10 s what it answers: one that is just
    being started is waited for. OSError, ApiError."""
    from trireme.machinery import errors

    end = env.clock.monotonic() + API_SERVER_SECONDS
    while True:
        try:
            await client.raw("GET", "/healthz", accept="*/*")
            return
        except (OSError, errors.ApiError):
            if env.clock.monotonic() >= end:
                raise
        await env.clock.sleep(1.0)


@asynccontextmanager
async def serving(component: Component, served: Served, env: Env) -> AsyncIterator[None]:
    """Serve the component's pages, as the flags say."""
    from trireme.client import kubeconfig
    from trireme.runtime.serving import server

    if not component.serving.port:
        yield
        return
    async with AsyncExitStack() as stack:

        async def reviewer(path: Path | None) -> Client | None:
            if path is None:
                return None
            made = _standalone.client(kubeconfig.load(path), served.name)
            return await stack.enter_async_context(made)

        reviewers = server.Reviewers(
            authentication=await reviewer(component.auth.authentication_kubeconfig),
            authorization=await reviewer(component.auth.authorization_kubeconfig),
        )
        pages = served.pages(env, component.disabled_metrics)
        port = await stack.enter_async_context(
            server.serving(component.serving, component.auth, reviewers, pages, served.name, env)
        )
        env.log.info("serving on https://%s:%d", component.serving.address, port)
        yield


def flagz(command: Command, given: Mapping[str, str]) -> dict[str, str]:
    """All flags that are served, and their values."""
    return texts(command.groups, command.defaults, given)


def candidate(component: Component, env: Env) -> str:
    """This process in the election, "" where there is none."""
    return f"{socket.gethostname()}_{env.uid()}" if component.election.elect else ""


async def lead(
    component: Component,
    client: Client,
    env: Env,
    health: Checks,
    work: Callable[[], Awaitable[None]],
) -> None:
    """Do the ``work``; with an election, while this copy leads."""
    from trireme.runtime.election import Election

    if not component.election.elect:
        await work()
        return
    # A copy that waits for the lease is ready, too.
    env.started()
    election = Election(client, component.election, candidate(component, env), env)
    health.add("leaderElection", election.problem)
    await election.lead(work)


def gates(component: Component, own: Iterable[str]) -> dict[str, bool]:
    """Those of the component's ``own`` feature gates that were set. UsageError for one that is
    unknown, or that is set to what is not done."""
    from trireme.apiserver.gates import every

    found: dict[str, bool] = {}
    for name, on in component.gates:
        name = name.removeprefix("kube:")
        gate = every().get(name)
        if name in own:
            found[name] = on
        elif gate is None:
            raise click.UsageError(f"--feature-gates: unrecognized feature gate: {name}")
        elif on != (gate.state != "off"):
            raise click.UsageError(
                f"--feature-gates: cannot set feature gate {name} to {str(on).lower()}"
            )
    return found
