"""Caches follow the server; handlers hear of every change after the cache has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime import index, informer, keys
from trireme.runtime.informer import Informer, Informers
from trireme.runtime.keys import Key
from trireme.testing import virtual


def config_map(name: str, namespace: str = "default", **labels: str) -> core.ConfigMap:
    return core.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace=namespace, labels=labels))


@asynccontextmanager
async def running(*informers: Informer) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(item.run()) for item in informers]
    try:
        for item in informers:
            await item.synced()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@virtual.test()
async def test_the_cache_holds_the_list_and_follows(env: Env, serving) -> None:
    async with serving(env) as client:
        await client.create(config_map("a"))
        maps = Informer(client, core.ConfigMap, env=env)
        received = []
        maps.add_handler(lambda event: received.append((event.type, event.key, len(maps))))
        async with running(maps):
            assert received == [("ADDED", Key("default", "a"), 1)]
            await client.create(config_map("b"))
            await client.patch(core.ConfigMap, "b", "default", {"data": {"k": "v"}})
            await client.delete(core.ConfigMap, "a", "default")
            await virtual.run_ready()
            assert received[1:] == [
                ("ADDED", ("default", "b"), 2),
                ("MODIFIED", ("default", "b"), 2),
                ("DELETED", ("default", "a"), 1),
            ]
            found = maps.get("default", "b")
            assert found is not None and found.data == {"k": "v"}
            assert maps.get("default", "a") is None
            assert [str(keys.of(item.metadata)) for item in maps.list()] == ["default/b"]


@virtual.test()
async def test_handlers_added_late_hear_of_what_is_there(env: Env, serving) -> None:
    async with serving(env) as client:
        await client.create(config_map("a"))
        maps = Informer(client, core.ConfigMap, env=env)
        async with running(maps):
            received = []
            maps.add_handler(lambda event: received.append((event.type, str(event.key))))
            assert received == [("ADDED", "default/a")]


@virtual.test()
async def test_a_handler_that_raises_does_not_stop_the_others(env: Env, serving, caplog) -> None:
    async with serving(env) as client:
        maps = Informer(client, core.ConfigMap, env=env)
        received = []

        def bad(event: informer.Event) -> None:
            raise ValueError("no")

        maps.add_handler(bad)
        maps.add_handler(lambda event: received.append(event.type))
        async with running(maps):
            await client.create(config_map("a"))
            await virtual.run_ready()
        assert received == ["ADDED"]
        assert "configmaps default/a: a handler of ADDED failed" in caplog.text


@virtual.test()
async def test_selections(env: Env, serving) -> None:
    async with serving(env) as client:
        labelled = Informer(client, core.ConfigMap, "default", label_selector="x=1", env=env)
        named = Informer(client, core.ConfigMap, field_selector="metadata.name=a", env=env)
        elsewhere = Informer(client, core.ConfigMap, "other", env=env)
        async with running(labelled, named, elsewhere):
            await client.create(config_map("a"))
            await client.create(config_map("b", x="1"))
            await virtual.run_ready()
            assert [item.metadata.name for item in labelled.list()] == ["b"]
            assert [item.metadata.name for item in named.list()] == ["a"]
            assert len(elsewhere) == 0
            # Leaves the selection: gone for this informer.
            await client.patch(core.ConfigMap, "b", "default", {"metadata": {"labels": {"x": "2"}}})
            await virtual.run_ready()
            assert len(labelled) == 0


@virtual.test()
async def test_indexes_follow(env: Env, serving) -> None:
    async with serving(env) as client:
        maps = Informer(client, core.ConfigMap, env=env)
        by_app = index.label("app")
        maps.add_index(by_app)
        async with running(maps):
            await client.create(config_map("a", app="x"))
            await client.create(config_map("b", app="x"))
            await client.create(config_map("c"))
            await virtual.run_ready()
            names = [item.metadata.name for item in maps.by_index(by_app, "x")]
            assert names == ["a", "b"]
            await client.patch(
                core.ConfigMap, "a", "default", {"metadata": {"labels": {"app": "y"}}}
            )
            await client.delete(core.ConfigMap, "b", "default")
            await virtual.run_ready()
            assert maps.by_index(by_app, "x") == []
            assert [item.metadata.name for item in maps.by_index(by_app, "y")] == ["a"]
            with pytest.raises(KeyError):
                maps.by_index(index.namespace, "default")


@virtual.test()
async def test_pages_are_one_list(env: Env, serving) -> None:
    async with serving(env) as client:
        for number in range(1203):
            await client.create(config_map(f"m{number:04}"))
        maps = Informer(client, core.ConfigMap, env=env)
        async with running(maps):
            assert len(maps) == 1203


@virtual.test()
async def test_one_informer_for_each_kind_and_selection(env: Env, serving) -> None:
    async with serving(env) as client, asyncio.TaskGroup() as group:
        informers = Informers(client, env)
        maps = informers.of(core.ConfigMap)
        assert informers.of(core.ConfigMap) is maps
        assert informers.of(core.ConfigMap, "default") is not maps
        informers.start(group)
        await informers.synced()
        late = informers.of(core.Secret)
        await late.synced()
        for task in asyncio.all_tasks():
            if task.get_name() == "informer":
                task.cancel()


@virtual.test()
async def test_metadata_only(env: Env, serving) -> None:
    async with serving(env) as client:
        await client.create(config_map("a", app="x"))
        bare = Informer(client, client.metadata("", "v1", "configmaps"), env=env)
        async with running(bare):
            found = bare.get("default", "a")
            assert found is not None and found.metadata.labels == {"app": "x"}
            await client.delete(core.ConfigMap, "a", "default")
            await virtual.run_ready()
            assert len(bare) == 0
