"""Clients of the controllers' service accounts, for a manager that has only its own identity.

In: the manager's client, which may create service accounts and their tokens. Out: a client for
each account, whose token is renewed. Used by ``trireme controllers`` and ``trireme cloud``.
Upstream: client-go's DynamicControllerClientBuilder, ``--use-service-account-credentials``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec

from trireme.api.authentication import v1 as authentication
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.client import agent as agents
from trireme.client.client import Client
from trireme.client.http import Http
from trireme.client.kubeconfig import Access
from trireme.client.measured import Wrap
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.machinery.errors import ApiError
from trireme.machinery.meta import ObjectMeta
from trireme.runtime import tokens
from trireme.runtime.tokens import Issued

NAMESPACE = "kube-system"
EXPIRATION_SECONDS = 3600
# The pause after a failure.
RETRY_SECONDS = 10.0
# Accounts that are asked for at once, so that a start is no stampede.
PARALLEL = 4


class AccountToken:
    """The token of one account; a call returns the present one."""

    def __init__(self, env: Env, manager: Client, name: str) -> None:
        self._env = env
        self._manager = manager
        self._name = name
        self._issued = Issued("", 0.0, 0.0)

    def __call__(self) -> str:
        return self._issued.token

    async def request(self) -> None:
        """Get a new one; the account is created when there is none. ApiError."""
        try:
            await self._request()
        except ApiError as error:
            if not errors.is_not_found(error):
                raise
            await self._create()
            await self._request()

    async def renew_forever(self) -> None:
        """Renew it before it runs out."""
        while True:
            left = self._issued.renew - self._env.clock.now()
            await self._env.clock.sleep(max(left, RETRY_SECONDS))
            try:
                await self.request()
            except (ApiError, OSError) as error:
                self._env.log.warning("renewing the token of %s failed: %s", self._name, error)

    async def _request(self) -> None:
        spec = authentication.TokenRequestSpec(expirationSeconds=EXPIRATION_SECONDS)
        self._issued = await tokens.request(self._manager, self._env, NAMESPACE, self._name, spec)

    async def _create(self) -> None:
        account = ServiceAccount(metadata=ObjectMeta(name=self._name, namespace=NAMESPACE))
        try:
            await self._manager.create(account)
        except ApiError as error:
            if not errors.is_already_exists(error):
                raise


@asynccontextmanager
async def of(
    env: Env,
    access: Access,
    manager: Client,
    names: Iterable[str],
    agent: str,
    wrap: Wrap,
) -> AsyncIterator[dict[str, Client]]:
    """A client for each account. ``access``: the manager's server; its certificate is not used.
    ``agent``: the manager's name. ``wrap`` makes each client's transport."""
    tls = msgspec.structs.replace(access.tls, client=None)
    tokens = {name: AccountToken(env, manager, name) for name in names}
    slots = asyncio.Semaphore(PARALLEL)

    async def get(token: AccountToken) -> None:
        async with slots:
            await token.request()

    async with asyncio.TaskGroup() as group:
        for token in tokens.values():
            group.create_task(get(token))
    transports = {name: wrap(Http(access.server, tls, token)) for name, token in tokens.items()}
    renewing = [asyncio.create_task(token.renew_forever()) for token in tokens.values()]
    try:
        yield {
            name: Client(transport, user_agent=agents.of(f"{agent}/{name}"))
            for name, transport in transports.items()
        }
    finally:
        for task in renewing:
            task.cancel()
        for transport in transports.values():
            await transport.close()
