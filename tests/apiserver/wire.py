"""Clients of a test's own making over real sockets: bytes on a TLS connection, and their answers.

After every test with a ``site``: nothing worse than a line in the log (no traceback), no task left
behind.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from trireme.apiserver import serve
from trireme.apiserver.bodies import Budget
from trireme.apiserver.connections import Limits
from trireme.apiserver.server import ApiServer
from trireme.apiserver.settings.authentication import Authentication
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.testing import control_plane

TOKEN, POWERLESS = "admin-token", "nobody-token"
AUTHORITY = pki.new_authority("bad clients", 1_700_000_000.0, 100 * pki.YEAR)
SERVING = pki.issue(
    AUTHORITY, "apiserver", 1_700_000_000.0, names=["127.0.0.1"], server=True,
    lifetime=50 * pki.YEAR,
)  # fmt: skip
# Short, so that what times out does so within the test.
LIMITS = Limits(head=0.3, body=0.3, stalled=0.3, farewell=0.1)
MAPS = "/api/v1/namespaces/default/configmaps"
PATIENCE = 10.0

Answer = tuple[int, dict[str, str], bytes]


class Wire:
    """A TLS connection on which a test writes whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> Answer:
        """One answer, its body complete."""
        async with asyncio.timeout(PATIENCE):
            status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if headers.get("transfer-encoding") == "chunked":
                body = await self._chunks()
            else:
                body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return int(status.split()[1]), headers, body

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body

    async def ended(self) -> bytes:
        """What is left, once the server has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self.writer.transport.abort()


class Site:
    """A server on a loopback port."""

    def __init__(self, server: ApiServer, port: int, budget: Budget) -> None:
        self.server = server
        self.port = port
        # What the server holds of requests that are not answered.
        self.budget = budget
        self.context = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
        self._wires: list[Wire] = []

    async def wire(self, **options: Any) -> Wire:
        made = Wire(
            *await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, **options)
        )
        self._wires.append(made)
        return made

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        media: str = "application/json",
        token: str = TOKEN,
        **more: str,
    ) -> tuple[int, Any]:
        """One request on a connection of its own: the status and the decoded answer."""
        wire = await self.wire()
        wire.send(request(method, path, body, media=media, token=token, **more))
        status, headers, content = await wire.answer()
        wire.close()
        if headers.get("content-type") == "application/json":
            return status, json.loads(content)
        return status, content

    async def alive(self) -> None:
        """Others are served as if nothing were."""
        assert (await self.ask("GET", "/readyz"))[0] == 200

    def close(self) -> None:
        for wire in self._wires:
            wire.close()


def request(
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    media: str = "application/json",
    token: str = TOKEN,
    **more: str,
) -> bytes:
    headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {token}"}
    if body is not None:
        headers |= {"Content-Type": media, "Content-Length": str(len(body))}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b"")


def config_map(name: str = "a", **more: Any) -> bytes:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}
    ).encode()


@asynccontextmanager
async def served(
    caplog: pytest.LogCaptureFixture, limits: Limits = LIMITS, **more: Any
) -> AsyncIterator[Site]:
    """A server that listens; ``more`` are fields of its configuration."""
    caplog.set_level(logging.INFO)
    before = asyncio.all_tasks()
    budget = Budget(limits.held)
    config: dict[str, Any] = {
        "listen": (("127.0.0.1", 0),),
        "serving": SERVING,
        "authentication": Authentication(
            static_tokens={
                TOKEN: ("admin", "1", ("system:masters",)),
                POWERLESS: ("nobody", "2", ()),
            }
        ),
    }
    async with (
        control_plane.api_server(Env(), **(config | more)) as server,
        serve.listening(server, limits, budget) as bound,
    ):
        made = Site(server, bound[0][1], budget)
        yield made
        await made.alive()
        made.close()
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()
    bad = [item for item in caplog.records if item.exc_info or item.levelno >= logging.ERROR]
    assert bad == [], [item.getMessage() for item in bad]


@pytest.fixture
async def site(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    async with served(caplog) as made:
        yield made
