"""``kill -9`` of the API server's process in the middle of writes: what it acknowledged is there.

A process of its own with TLS and SQLite is killed and started again, a few times, while writers
create and update and watchers follow. (The store's own suite kills a hundred times.)
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from trireme.kit import pki

pytestmark = pytest.mark.interop

SCRIPT = Path(__file__).parents[2] / "bench" / "api_server.py"
TOKEN = "measured"
MAPS = "/api/v1/namespaces/default/configmaps"
KILLS = 5
WRITERS = 8
# How long writes go on before a kill, and how long anything may take.
BETWEEN, PATIENCE = 0.3, 20.0


class Site:
    """The server's folder and address, its present process, and a client of it."""

    def __init__(self, folder: Path, port: int, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.port = port
        self.session = session
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        log = (self.folder / "log").open("ab")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), str(self.folder), str(self.port), stdout=log, stderr=log
        )
        log.close()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self.session.get("/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                assert self.process.returncode is None, (self.folder / "log").read_text()
                await asyncio.sleep(0.01)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


@asynccontextmanager
async def a_site(folder: Path, port: int) -> AsyncIterator[Site]:
    now = time.time()
    authority = pki.new_authority("crash", now)
    serving = pki.issue(authority, "apiserver", now, names=["127.0.0.1"], server=True)
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "serving.pem").write_bytes(serving.certificate)
    (folder / "serving.key").write_bytes(serving.key)
    (folder / "accounts.key").write_bytes(pki.new_key())
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    async with aiohttp.ClientSession(
        f"https://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        connector=aiohttp.TCPConnector(ssl=context),
    ) as session:
        site = Site(folder, port, session)
        try:
            yield site
        finally:
            await site.kill()


class Ledger:
    """What the server acknowledged: name → (uid, the highest revision, its count)."""

    def __init__(self) -> None:
        self.written: dict[str, tuple[str, int, int]] = {}
        self.answers = 0

    def note(self, obj: dict[str, Any]) -> None:
        meta = obj["metadata"]
        entry = (meta["uid"], int(meta["resourceVersion"]), int(obj["data"]["count"]))
        self.written[meta["name"]] = entry
        self.answers += 1


async def write(site: Site, ledger: Ledger, writer: int, life: int) -> None:
    """Create, then count up, until the connection breaks."""
    number = 0
    while True:
        name = f"w{writer}-{life}-{number}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        try:
            for count in range(3):
                body["data"] = {"count": str(count)}
                method, path = ("POST", MAPS) if count == 0 else ("PUT", f"{MAPS}/{name}")
                async with site.session.request(method, path, data=json.dumps(body)) as answer:
                    received = await answer.json()
                    assert answer.status in (200, 201), received
                ledger.note(received)
        except aiohttp.ClientError:
            return
        number += 1


class Follower:
    """A watcher that resumes from the revision that it saw last, as client libraries do."""

    def __init__(self) -> None:
        self.revision = 0
        self.observed: dict[str, int] = {}
        self.resumed = 0
        self.expired = 0

    async def relist(self, site: Site) -> None:
        async with site.session.get(MAPS) as answer:
            listed = await answer.json()
        self.revision = int(listed["metadata"]["resourceVersion"])
        for item in listed["items"]:
            self.observed[item["metadata"]["name"]] = int(item["metadata"]["resourceVersion"])

    async def follow(self, site: Site) -> None:
        """One connection, until it breaks."""
        path = f"{MAPS}?watch=1&resourceVersion={self.revision}"
        try:
            async with site.session.get(path) as answer:
                assert answer.status in (200, 410), await answer.text()
                if answer.status == 410:
                    self.expired += 1
                    await self.relist(site)
                    return
                self.resumed += 1
                async for line in answer.content:
                    event = json.loads(line)
                    meta = event["object"]["metadata"]
                    revision = int(meta["resourceVersion"])
                    assert event["type"] in ("ADDED", "MODIFIED"), event
                    assert revision > self.revision, "an event came twice, or out of order"
                    self.revision = revision
                    self.observed[meta["name"]] = revision
        except (aiohttp.ClientError, json.JSONDecodeError):
            # The server died; half a line may have arrived.
            return


async def test_kill_9_in_the_middle_of_writes(tmp_path: Path, unused_tcp_port: int) -> None:
    ledger, follower = Ledger(), Follower()
    async with a_site(tmp_path, unused_tcp_port) as site:
        await site.start()
        await follower.relist(site)
        for life in range(KILLS):
            tasks = [
                asyncio.create_task(write(site, ledger, number, life)) for number in range(WRITERS)
            ]
            tasks.append(asyncio.create_task(follower.follow(site)))
            before = ledger.answers
            await asyncio.sleep(BETWEEN)
            await site.kill()
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*tasks)
            assert ledger.answers > before + WRITERS
            await site.start()
            await check(site, ledger)
        assert follower.resumed + follower.expired == KILLS
        await caught_up(site, follower)


async def check(site: Site, ledger: Ledger) -> None:
    """Every acknowledged write is there, at its revision or a later one."""
    async with site.session.get(MAPS) as answer:
        listed = await answer.json()
    stored = {item["metadata"]["name"]: item for item in listed["items"]}
    for name, (uid, revision, count) in ledger.written.items():
        item = stored[name]
        assert item["metadata"]["uid"] == uid
        assert int(item["metadata"]["resourceVersion"]) >= revision
        # The last write of a life may have been made durable without its answer arriving.
        assert int(item["data"]["count"]) in (count, count + 1)


async def caught_up(site: Site, follower: Follower) -> None:
    """A watcher that resumes has seen exactly what a list shows."""
    following = asyncio.create_task(follower.follow(site))
    async with site.session.get(MAPS) as answer:
        listed = await answer.json()
    now = {
        item["metadata"]["name"]: int(item["metadata"]["resourceVersion"])
        for item in listed["items"]
    }
    async with asyncio.timeout(PATIENCE):
        while follower.observed != now:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.wait({following})
