"""Whatever the network and the server do, the cache ends up as the server's state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from trireme.api.core import v1 as core
from trireme.client import watcher
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.runtime.informer import Informer
from trireme.testing import virtual


def config_map(name: str) -> core.ConfigMap:
    return core.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"))


@asynccontextmanager
async def following(client, env: Env) -> AsyncIterator[tuple[Informer, list[str]]]:
    maps = Informer(client, core.ConfigMap, env=env)
    received: list[str] = []
    maps.add_handler(lambda event: received.append(f"{event.type} {event.key.name}"))
    task = asyncio.ensure_future(maps.run())
    try:
        yield maps, received
    finally:
        task.cancel()
        await asyncio.wait({task})


def watches(method: str, path: str, query: str) -> bool:
    return "watch=true" in query


def lists(method: str, path: str, query: str) -> bool:
    return method == "GET" and "watch=true" not in query


@virtual.test()
async def test_a_broken_watch_goes_on_where_it_was(env: Env, world) -> None:
    async with world(env) as w:
        client, injector = w.through()
        await w.client.create(config_map("a"))
        async with following(client, env) as (maps, received):
            await maps.synced()
            await w.client.create(config_map("b"))
            await virtual.run_ready()
            injector.down = True
            await virtual.run_ready()
            await w.client.create(config_map("c"))
            await w.client.delete(core.ConfigMap, "a", "default")
            await env.clock.sleep(5)
            assert received == ["ADDED a", "ADDED b"]
            injector.down = False
            await env.clock.sleep(30)
            assert received[2:] == ["ADDED c", "DELETED a"]
            # No second list: the first page is the only one that was asked for.
            assert len([call for call in injector.calls if "limit=" in call]) == 1


@virtual.test()
async def test_a_compacted_revision_is_listed_anew(env: Env, world) -> None:
    async with world(env) as w:
        client, injector = w.through()
        await w.client.create(config_map("a"))
        await w.client.create(config_map("b"))
        async with following(client, env) as (maps, received):
            await maps.synced()
            injector.down = True
            await virtual.run_ready()
            await w.client.delete(core.ConfigMap, "a", "default")
            await w.client.patch(core.ConfigMap, "b", "default", {"data": {"k": "v"}})
            await w.client.create(config_map("c"))
            await w.server.context.store.compact(w.server.context.store.revision)
            injector.down = False
            await env.clock.sleep(60)
            assert received == ["ADDED a", "ADDED b", "DELETED a", "MODIFIED b", "ADDED c"]
            assert {item.metadata.name for item in maps.list()} == {"b", "c"}


@virtual.test()
async def test_an_object_made_again_is_another_object(env: Env, world) -> None:
    async with world(env) as w:
        client, injector = w.through()
        await w.client.create(config_map("a"))
        async with following(client, env) as (maps, received):
            await maps.synced()
            injector.down = True
            await virtual.run_ready()
            await w.client.delete(core.ConfigMap, "a", "default")
            await w.client.create(config_map("a"))
            await w.server.context.store.compact(w.server.context.store.revision)
            injector.down = False
            await env.clock.sleep(60)
            assert received == ["ADDED a", "DELETED a", "ADDED a"]


@virtual.test()
async def test_a_server_whose_state_was_lost(env: Env, world) -> None:
    """Its revisions are lower than what we saw: listed anew, not waited for."""
    async with world(env) as w:
        client, injector = w.through()
        async with following(client, env) as (maps, received):
            await maps.synced()
            lost = errors.too_large_resource_version(900, 3)
            injector.refuse(lost, watches)
            injector.break_streams()
            await env.clock.sleep(10)
            assert len([call for call in injector.calls if "limit=" in call]) == 2
            await w.client.create(config_map("a"))
            await virtual.run_ready()
            assert received == ["ADDED a"]


@virtual.test()
async def test_a_list_that_expires_between_pages_begins_again(
    env: Env, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "PAGE", 2)
    async with world(env) as w:
        client, injector = w.through()
        for name in "abcde":
            await w.client.create(config_map(name))
        injector.refuse(
            errors.expired("too old"), lambda *call: lists(*call) and "continue=" in call[2]
        )
        async with following(client, env) as (maps, received):
            await env.clock.sleep(5)
            await maps.synced()
            assert len(maps) == 5 and len(received) == 5
            assert len([call for call in injector.calls if "limit=" in call]) == 2 + 3


@virtual.test()
async def test_failures_are_logged_once_in_a_row(env: Env, world, caplog) -> None:
    caplog.set_level(logging.WARNING)
    async with world(env) as w:
        client, injector = w.through()
        injector.down = True
        async with following(client, env) as (maps, _told):
            await env.clock.sleep(600)
            waits = len(injector.calls)
            assert 10 < waits < 40
            assert len(caplog.records) == 1
            assert "watching configmaps" in caplog.text
            injector.down = False
            await env.clock.sleep(60)
            assert maps.is_synced


@virtual.test()
async def test_quiet_watches_end_and_go_on_for_days(env: Env, world) -> None:
    async with world(env) as w:
        client, injector = w.through()
        async with following(client, env) as (_maps, received):
            await env.clock.sleep(2 * 24 * 3600)
            await w.client.create(config_map("a"))
            await virtual.run_ready()
            assert received == ["ADDED a"]
            assert len([call for call in injector.calls if "limit=" in call]) == 1


@virtual.test()
async def test_a_forbidden_kind_is_tried_again(env: Env, world) -> None:
    async with world(env) as w:
        client, injector = w.through()
        injector.refuse(errors.forbidden("configmaps", "", "no"), lists, times=3)
        async with following(client, env) as (maps, _told):
            await env.clock.sleep(30)
            assert maps.is_synced


@virtual.test()
async def test_random_faults_lose_nothing(env: Env, world) -> None:
    """A hundred writes under a network that fails at random; the cache ends up right."""
    async with world(env) as w:
        client, injector = w.through()
        async with following(client, env) as (maps, received):
            known: dict[str, None] = {}
            for number in range(100):
                draw = env.rng.random()
                if draw < 0.1:
                    injector.down = not injector.down
                elif draw < 0.2:
                    injector.break_streams()
                elif draw < 0.25:
                    await w.server.context.store.compact(w.server.context.store.revision)
                elif draw < 0.5 and known:
                    name = env.rng.choice(list(known))
                    del known[name]
                    await w.client.delete(core.ConfigMap, name, "default")
                else:
                    known[f"m{number}"] = None
                    await w.client.create(config_map(f"m{number}"))
                await env.clock.sleep(env.rng.random() * 3)
            injector.down = False
            await env.clock.sleep(120)
            assert {item.metadata.name for item in maps.list()} == set(known)
            output: set[str] = set()
            for line in received:
                kind, name = line.split()
                assert (name in output) == (kind != "ADDED")
                (output.discard if kind == "DELETED" else output.add)(name)
            assert output == set(known)
