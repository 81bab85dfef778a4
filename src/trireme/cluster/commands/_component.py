"""What the commands of the control plane's components share: clients, pages, feature gates.

In: the settings of ``component_flags``. Out: clients that are measured and limited, an HTTPS server
with the component's pages, its name in an election.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from trireme.cluster.component_flags import Component
from trireme.cluster.flags import Command, texts
from trireme.kit.clock import RealClock
from trireme.kit.env import Env

API_SERVER_SECONDS = 10.0

if TYPE_CHECKING:
    from trireme.client.client import Client
    from trireme.client.kubeconfig import Access
    from trireme.client.measured import Wrap
    from trireme.cluster.served import Served
    from trireme.runtime.serving.health import Checks


def access(component: Component) -> Access:
    """Where the API server is. UsageError without a kubeconfig and --master."""
    from trireme.client import kubeconfig

    if component.kubeconfig is None and not component.master:
        raise click.UsageError("Missing option '--kubeconfig'.")
    found = (
        kubeconfig.load(component.kubeconfig)
        if component.kubeconfig is not None
        else kubeconfig.Access(server=component.master)
    )
    return msgspec.structs.replace(found, server=component.master or found.server)


def measuring(component: Component, env: Env, server: str) -> Wrap:
    """Makes a client's transport count its requests and keep to the limit."""
    from trireme.client import measured

    return measured.wrapping(env, server, measured.Rate(component.qps, component.burst))


@asynccontextmanager
async def client(access: Access, agent: str, wrap: Wrap = lambda it: it) -> AsyncIterator[Client]:
    """A client as the kubeconfig's user."""
    from trireme.client import agent as agents
    from trireme.client import kubeconfig
    from trireme.client.client import Client

    transport = wrap(kubeconfig.connect(access, RealClock()))
    try:
        yield Client(transport, user_agent=agents.of(agent))
    finally:
        await transport.close()


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
            made = client(kubeconfig.load(path), served.name)
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


def check(component: Component) -> None:
    """Refuse flags that do not fit each other. UsageError."""
    if bool(component.serving.certificate) != bool(component.serving.key):
        raise click.UsageError("--tls-cert-file and --tls-private-key-file need each other")


def log_level(component: Component) -> None:
    """Log what is for debugging, from verbosity 4 on."""
    if component.verbosity >= 4:
        logging.getLogger("trireme").setLevel(logging.DEBUG)


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
