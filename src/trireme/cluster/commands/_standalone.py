"""One component alone in the foreground, to be combined with components of other origin.

In: a component's main, made by one of the commands beside this file. It runs until it is
interrupted; what it logs goes to standard error. The rest of the cluster is known only by a
kubeconfig, so that it may be any implementation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from trireme.client import agent as agents
from trireme.client import kubeconfig
from trireme.client.client import Client
from trireme.client.kubeconfig import Access
from trireme.cluster import compose
from trireme.cluster.commands import _types
from trireme.cluster.user_errors import expected
from trireme.kit.clock import RealClock
from trireme.kit.env import Env

if TYPE_CHECKING:
    from trireme.client.measured import Wrap

Main = Callable[[Env], Coroutine[Any, Any, None]]

KUBECONFIG = click.option(
    "--kubeconfig",
    "path",
    required=True,
    envvar="KUBECONFIG",
    type=_types.EXISTING,
    help="Where the API server is, and who this component is there.",
)
NODE_NAME = click.option(
    "--node-name", type=_types.SUBDOMAIN, required=True, help="The node that this one serves."
)
NODE_IP = click.option(
    "--node-ip", type=_types.ADDRESS, required=True, help="The node's own address."
)


def run(component: str, main: Main) -> None:
    """Run a component until SIGINT or SIGTERM; says on standard error when it is ready."""

    def started() -> None:
        logging.getLogger(f"trireme.{component}").info("ready")

    with _one_line(component), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signal(main, compose.environment(component, started)))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it is installed: requests take a third less time."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


@asynccontextmanager
async def client(access: Access, agent: str, wrap: Wrap = lambda it: it) -> AsyncIterator[Client]:
    """A client as the kubeconfig's user. ``wrap`` makes its transport."""
    transport = wrap(kubeconfig.connect(access, RealClock()))
    try:
        yield Client(transport, user_agent=agents.of(agent))
    finally:
        await transport.close()


async def _until_signal(main: Main, env: Env) -> None:
    task = asyncio.ensure_future(main(env))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.contextmanager
def _one_line(component: str) -> Iterator[None]:
    """Print an expected error as one line, also out of an exception group."""
    try:
        yield
    except Exception as error:
        known = expected(error)
        if known is None:
            raise
        sys.exit(f"trireme {component}: {known}")
