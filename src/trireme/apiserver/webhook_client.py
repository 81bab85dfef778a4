"""A webhook of the API server itself, named by a kubeconfig: token and access reviews, audit.

In: where it is and who we are there (``Access``), a body. Out: status and body. Nothing it answers
steers the server: no redirect is followed, size and time are bounded. What failed for a reason that
passes is tried again. Upstream: apiserver ``pkg/util/webhook``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from trireme.apiserver import outgoing
from trireme.apiserver.outgoing import Outgoing
from trireme.client import http
from trireme.client.kubeconfig import Access
from trireme.kit.env import Env

LIMIT = 3 * 1024 * 1024
# Of one try, seconds.
TIMEOUT = 30.0
# Upstream's default backoff: seconds, by which factor, with how much chance, how many tries.
FIRST, FACTOR, JITTER, TRIES = 0.5, 1.5, 0.2, 5
_RETRIED = (429, 500)


class WebhookError(Exception):
    """Nobody answered as a webhook should; the text says what happened."""


class WebhookClient:
    """Connections to one server; ``close`` when done. ``backoff``: seconds before the first
    repetition; ``always``: whatever has failed is tried again."""

    def __init__(
        self, access: Access, env: Env, *, backoff: float | None = None, always: bool = False
    ) -> None:
        self.url = access.server
        self._first = FIRST if backoff is None else backoff
        self._always = always
        self._env = env
        self._outgoing = Outgoing()
        self._tls = http.context(access.tls) if access.server.startswith("https:") else True
        self._server_name = access.tls.server_name or None
        self._token: Callable[[], str] = partial(str, access.token)
        if access.token_file:
            self._token = http.TokenFile(Path(access.token_file), env.clock)

    async def post(self, body: bytes, timeout: float = TIMEOUT) -> bytes:
        """The answer to a body of JSON, of status 200 or 201; WebhookError."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        token = self._token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        status, answer = await self._tried(headers, body, timeout)
        if status not in (200, 201):
            raise WebhookError(f"unexpected status {status} of {self.url}")
        return answer

    async def review(self, review: Any, timeout: float = TIMEOUT) -> Any:
        """The object that is answered to an object; WebhookError."""
        answer = await self.post(msgspec.json.encode(review), timeout)
        try:
            found = msgspec.json.decode(answer)
        except msgspec.DecodeError as error:
            raise WebhookError(f"{self.url} answered no JSON: {error}") from None
        for name in ("apiVersion", "kind"):
            if not isinstance(found, dict) or found.get(name) != review[name]:
                raise WebhookError(f"{self.url} answered no {review['kind']}")
        return found

    async def close(self) -> None:
        """Close what is open."""
        await self._outgoing.close()

    async def _tried(
        self, headers: dict[str, str], body: bytes, timeout: float
    ) -> tuple[int, bytes]:
        pause = self._first
        for left in reversed(range(TRIES)):
            try:
                status, answer = await self._once(headers, body, timeout)
                if not left or not (status in _RETRIED or (self._always and status >= 300)):
                    return status, answer
            except outgoing.FAILURES as error:
                if not left or not (self._always or _passes(error)):
                    target = URL(self.url)
                    text = outgoing.explain(error, target.host or "", target.port or 0)
                    raise WebhookError(f'Post "{self.url}": {text}') from None
            await self._env.clock.sleep(pause * (1 + JITTER * self._env.rng.random()))
            pause *= FACTOR
        raise AssertionError("a try that is the last returns or raises")

    async def _once(
        self, headers: dict[str, str], body: bytes, timeout: float
    ) -> tuple[int, bytes]:
        async with asyncio.timeout(timeout):
            response = await self._outgoing.request(
                "POST", self.url, headers, body, tls=self._tls, server_name=self._server_name
            )
            return response.status, await outgoing.read(response, LIMIT)


def _passes(error: BaseException) -> bool:
    """Whether a connection broke, rather than that there is none to be had."""
    return isinstance(error, ConnectionResetError | aiohttp.ServerDisconnectedError)
