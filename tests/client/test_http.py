"""The HTTPS transport against the real API server on loopback: identities, watches, faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from trireme.api.core import v1 as core
from trireme.apiserver import serve
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.server import ApiServer
from trireme.apiserver.settings.authentication import Authentication
from trireme.client import discovery, kubeconfig
from trireme.client.client import Client
from trireme.client.http import Http, Tls, TokenFile
from trireme.client.kubeconfig import Access
from trireme.client.transport import Unreachable
from trireme.kit import pki
from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.store.memory import MemoryStore

NOW = time.time()
CA = pki.new_authority("ca", NOW)
SERVER = pki.issue(CA, "apiserver", NOW, names=["127.0.0.1", "api.test"], server=True)
ADMIN = pki.issue(CA, "admin", NOW, organizations=["system:masters"])
AS_ADMIN = Tls(authority=CA.certificate, client=ADMIN)
TOKENS: dict[str, tuple[str, str, tuple[str, ...]]] = {"secret": ("jane", "1", ("system:masters",))}


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    async with MemoryStore() as store:
        config = ApiServerConfig(
            store=store,
            service_accounts=ServiceAccountKeys(pki.new_key()),
            listen=(("127.0.0.1", 0),),
            serving=SERVER,
            client_authority=CA.certificate,
            authentication=Authentication(static_tokens=TOKENS),
        )
        async with serve.listening(ApiServer(config, Env())) as bound:
            yield f"https://127.0.0.1:{bound[0][1]}"


@asynccontextmanager
async def connected(transport: Http) -> AsyncIterator[Client]:
    try:
        yield Client(transport, "test")
    finally:
        await transport.close()


def namespace(name: str) -> core.Namespace:
    return core.Namespace(metadata=meta.ObjectMeta(name=name))


async def test_a_client_certificate() -> None:
    async with serving() as url, connected(Http(url, AS_ADMIN)) as client:
        made = await client.create(namespace("a"))
        assert made == await client.get(core.Namespace, "a")
        observed: list[str] = []
        watch = client.watch(core.Namespace, None, made.metadata.resourceVersion)
        async with aclosing(watch) as events:
            await client.create(namespace("b"))
            await client.patch(
                core.Namespace, "b", None, {"metadata": {"annotations": {"x": "y" * 200_000}}}
            )
            observed = [(await anext(events)).type for _ in range(2)]
        assert observed == ["ADDED", "MODIFIED"]


async def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("stale\n")
    clock = _Clock()
    tls = Tls(authority=CA.certificate)
    async with serving() as url, connected(Http(url, tls, TokenFile(path, clock))) as client:
        with pytest.raises(errors.ApiError) as refused:
            await client.list(core.Namespace)
        assert errors.is_unauthorized(refused.value)
        path.write_text("secret\n")
        clock.time = 61.0
        await client.list(core.Namespace)


async def test_a_kubeconfig_leads_to_the_server(tmp_path: Path) -> None:
    async with serving() as url:
        path = tmp_path / "config"
        kubeconfig.write(path, Access(server=url, tls=AS_ADMIN))
        transport = kubeconfig.connect(kubeconfig.load(path), RealClock())
        async with connected(transport) as client:
            assert (await client.create(namespace("a"))).metadata.uid


async def test_servers_are_checked() -> None:
    other = pki.new_authority("other", NOW)
    async with serving() as url:
        async with connected(Http(url, Tls(authority=other.certificate))) as client:
            with pytest.raises(Unreachable, match=r"(?i)certificate"):
                await client.list(core.Namespace)
        wrong = Tls(authority=CA.certificate, client=ADMIN, server_name="else.test")
        async with connected(Http(url, wrong)) as client:
            with pytest.raises(Unreachable, match=r"(?i)mismatch"):
                await client.list(core.Namespace)
        for tls in (
            Tls(authority=CA.certificate, client=ADMIN, server_name="api.test"),
            Tls(client=ADMIN, insecure=True),
        ):
            async with connected(Http(url, tls)) as client:
                await client.list(core.Namespace)


async def test_nobody_there() -> None:
    async with connected(Http("https://127.0.0.1:1", AS_ADMIN)) as client:
        with pytest.raises(Unreachable, match=r"GET https://127.0.0.1:1/api/v1/namespaces"):
            await client.list(core.Namespace)
        with pytest.raises(Unreachable):
            await anext(client.watch(core.Namespace))


async def test_a_server_that_stops_breaks_its_watches() -> None:
    async with connected_to_stopping() as (client, stop):
        events = client.watch(core.Namespace)
        async with aclosing(events):
            await client.create(namespace("a"))
            assert (await anext(events)).type == "ADDED"
            await stop()
            with pytest.raises((Unreachable, StopAsyncIteration)):
                async with asyncio.timeout(10):
                    while True:
                        # What was on its way, such as the mark after the first events.
                        await anext(events)


@asynccontextmanager
async def connected_to_stopping():
    server = serving()
    url = await server.__aenter__()
    stopped = False

    async def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            await server.__aexit__(None, None, None)

    try:
        async with connected(Http(url, AS_ADMIN)) as client:
            yield client, stop
    finally:
        await stop()


async def test_discovery_tells_all_resources() -> None:
    async with serving() as url, connected(Http(url, AS_ADMIN)) as client:
        found = {(item.group, item.plural): item for item in await discovery.served(client)}
        pods = found["", "pods"]
        assert (pods.kind, pods.namespaced, pods.version) == ("Pod", True, "v1")
        assert "watch" in pods.verbs and "status" in pods.subresources
        assert not found["", "nodes"].namespaced
        assert found["apps", "deployments"].short_names == ("deploy",)


class _Clock(RealClock):
    time = 0.0

    def monotonic(self) -> float:
        return self.time
