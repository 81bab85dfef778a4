"""The typed verbs against the real API server, in process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from trireme.api.core import v1 as core
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.server import ApiServer
from trireme.client import resource_interface
from trireme.client.client import Client
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.machinery.status import Status
from trireme.store.memory import MemoryStore
from trireme.testing import clients, virtual

KEY = pki.new_key()


@asynccontextmanager
async def serving(env: Env) -> AsyncIterator[Client]:
    async with MemoryStore() as store:
        config = ApiServerConfig(store=store, service_accounts=ServiceAccountKeys(KEY))
        client = clients.client(ApiServer(config, env))
        await client.create(core.Namespace(metadata=meta.ObjectMeta(name="default")))
        yield client


def config_map(name: str, **data: str) -> core.ConfigMap:
    return core.ConfigMap(
        metadata=meta.ObjectMeta(name=name, namespace="default", labels={"name": name}), data=data
    )


@virtual.test()
async def test_an_object_lives_through_all_verbs(env: Env) -> None:
    async with serving(env) as client:
        made = await client.create(config_map("a", k="1"))
        assert made.metadata.uid and made.metadata.resourceVersion
        assert await client.get(core.ConfigMap, "a", "default") == made

        made.data["k"] = "2"
        changed = await client.update(made)
        assert changed.data == {"k": "2"}
        with pytest.raises(errors.ApiError) as stale:
            await client.update(made)
        assert errors.is_conflict(stale.value)

        patched = await client.patch(core.ConfigMap, "a", "default", {"data": {"l": "3"}})
        assert patched.data == {"k": "2", "l": "3"}
        operations = [{"op": "remove", "path": "/data/k"}]
        patched = await client.patch(core.ConfigMap, "a", "default", operations, kind="json")
        assert patched.data == {"l": "3"}

        wrong = meta.DeleteOptions(preconditions=meta.Preconditions(uid="other"))
        with pytest.raises(errors.ApiError) as refused:
            await client.delete(core.ConfigMap, "a", "default", wrong)
        assert refused.value.code == 409
        await client.delete(core.ConfigMap, "a", "default")
        with pytest.raises(errors.ApiError) as missing:
            await client.get(core.ConfigMap, "a", "default")
        assert errors.is_not_found(missing.value)
        assert missing.value.message == 'configmaps "a" not found'


@virtual.test()
async def test_lists_select_and_page(env: Env) -> None:
    async with serving(env) as client:
        for name in "abcde":
            await client.create(config_map(name))
        listed = await client.list(core.ConfigMap, label_selector="name in (b,d)")
        assert [item.metadata.name for item in listed.items] == ["b", "d"]
        assert listed.items[0].kind == "ConfigMap"

        names, token = [], ""
        while True:
            page = await client.list(core.ConfigMap, "default", limit=2, continue_token=token)
            names.append([item.metadata.name for item in page.items])
            token = page.continue_token
            if not token:
                break
        assert names == [["a", "b"], ["c", "d"], ["e"]]
        assert (await client.list(core.ConfigMap, "elsewhere")).items == []

        await client.delete_collection(core.ConfigMap, "default", label_selector="name!=c")
        left = await client.list(core.ConfigMap, "default")
        assert [item.metadata.name for item in left.items] == ["c"]


@virtual.test()
async def test_a_watch_tells_what_follows_its_revision(env: Env) -> None:
    async with serving(env) as client:
        first = await client.create(config_map("a"))
        at = first.metadata.resourceVersion
        await client.create(config_map("b", k="1"))
        await client.patch(core.ConfigMap, "b", "default", {"data": {"k": "2"}})
        await client.delete(core.ConfigMap, "b", "default")
        observed = [
            (event.type, event.object.metadata.name, event.object.data.get("k"))
            async for event in client.watch(core.ConfigMap, "default", at, timeout=5)
            if event.type != resource_interface.BOOKMARK
        ]
        assert observed == [("ADDED", "b", "1"), ("MODIFIED", "b", "2"), ("DELETED", "b", "2")]


@virtual.test()
async def test_initial_events_end_with_a_bookmark(env: Env) -> None:
    async with serving(env) as client:
        await client.create(config_map("a"))
        watch = client.watch(core.ConfigMap, "default", initial_events=True)
        async with aclosing(watch) as events:
            observed = [await anext(events), await anext(events)]
        assert [event.type for event in observed] == ["ADDED", "BOOKMARK"]
        assert observed[1].initial_end and observed[1].object is None


@virtual.test()
async def test_a_watch_left_early_ends_on_the_server(env: Env) -> None:
    async with serving(env) as client:
        before = len(asyncio.all_tasks())
        task = asyncio.ensure_future(anext(client.watch(core.ConfigMap, "default")))
        await virtual.run_ready()
        task.cancel()
        await asyncio.wait({task})
        await virtual.run_ready()
        assert len(asyncio.all_tasks()) == before


@virtual.test()
async def test_subresources(env: Env) -> None:
    async with serving(env) as client:
        account = meta.ObjectMeta(name="default", namespace="default")
        await client.create(core.ServiceAccount(metadata=account))
        pod = core.Pod(
            metadata=meta.ObjectMeta(name="p", namespace="default"),
            spec=core.PodSpec(containers=[core.Container(name="c", image="i")]),
        )
        await client.create(pod)
        target = core.ObjectReference(kind="Node", name="n1")
        binding = core.Binding(metadata=meta.ObjectMeta(name="p"), target=target)
        answer = await client.create_subresource(
            core.Pod, "p", "default", "binding", binding, Status
        )
        assert answer.status == "Success"
        bound = await client.get(core.Pod, "p", "default")
        assert bound.spec.nodeName == "n1"
        bound.status.phase = "Running"
        bound.spec.nodeName = "other"
        written = await client.update_status(bound)
        assert (written.status.phase, written.spec.nodeName) == ("Running", "n1")
        written = await client.patch(
            core.Pod, "p", "default", {"status": {"reason": "x"}}, kind="strategic",
            subresource="status",
        )  # fmt: skip
        assert written.status.reason == "x"


@virtual.test()
async def test_any_resource_as_plain_values_or_metadata(env: Env) -> None:
    async with serving(env) as client:
        await client.create(config_map("a", k="v"))
        plain = client.dynamic("", "v1", "configmaps")
        assert (await plain.get("a", "default"))["data"] == {"k": "v"}
        assert [item["metadata"]["name"] for item in (await plain.list()).items] == ["a"]
        await plain.patch("a", "default", {"data": {"k": None}})

        bare = client.metadata("", "v1", "configmaps")
        listed = await bare.list("default")
        assert [item.metadata.name for item in listed.items] == ["a"]
        assert (await bare.get("a", "default")).metadata.labels == {"name": "a"}
        watch = bare.watch("default", listed.resource_version)
        async with aclosing(watch) as events:
            await bare.delete("a", "default")
            gone = await anext(events)
        assert (gone.type, gone.object.metadata.name) == ("DELETED", "a")


@virtual.test()
async def test_dry_run_changes_nothing(env: Env) -> None:
    async with serving(env) as client:
        await client.create(config_map("a"), dry_run=True)
        assert (await client.list(core.ConfigMap)).items == []


@virtual.test()
async def test_refusals_carry_the_servers_status(env: Env) -> None:
    async with serving(env) as client:
        with pytest.raises(errors.ApiError) as invalid:
            await client.create(config_map("Not_A_Name"))
        assert errors.is_invalid(invalid.value)
        assert invalid.value.details is not None
        assert invalid.value.details.causes[0].field == "metadata.name"
        with pytest.raises(errors.ApiError) as missing:
            await client.dynamic("nope.example.com", "v1", "things").list()
        assert errors.is_not_found(missing.value)
        with pytest.raises(ValueError, match="a namespace is needed"):
            await client.get(core.ConfigMap, "a")
        with pytest.raises(ValueError, match="not one of json, merge, strategic"):
            await client.patch(core.ConfigMap, "a", "default", {}, kind="apply")


@virtual.test()
async def test_the_identity_is_the_callers(env: Env) -> None:
    async with MemoryStore() as store:
        config = ApiServerConfig(store=store, service_accounts=ServiceAccountKeys(KEY))
        nobody = clients.client(ApiServer(config, env), "jane", ("system:authenticated",))
        with pytest.raises(errors.ApiError) as refused:
            await nobody.list(core.Secret, "default")
        assert errors.is_forbidden(refused.value)
        assert 'User "jane" cannot list resource "secrets"' in refused.value.message
