"""GET, LIST and WATCH: versions, pages, selectors, forms, bookmarks."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml

from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.kit.env import Env
from trireme.machinery import time
from trireme.machinery.codec.protobuf import decode, table
from trireme.testing import control_plane, virtual

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))
MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Api:
    """Raw requests to the server, answers as parsed JSON."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def __call__(
        self, method: str, path: str, body: Any = None, accept: str = "", media: str = ""
    ) -> tuple[int, Any]:
        answer = await self.raw(method, path, body, accept, media)
        assert isinstance(answer, Reply), answer
        return answer.status, json.loads(answer.body) if answer.body else None

    async def raw(
        self, method: str, path: str, body: Any = None, accept: str = "", media: str = ""
    ) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"accept": accept} if accept else {}
        if media:
            headers["content-type"] = media
        path, _, query = path.partition("?")
        request = Request(method, path, query, headers, data, user=ADMIN)
        return await chain.handle(self.server, request)

    async def make(self, name: str, **labels: str) -> dict[str, Any]:
        status, made = await self("POST", MAPS, config_map(name, **labels))
        assert status == 201, made
        return made

    @asynccontextmanager
    async def watch(self, path: str, accept: str = "") -> AsyncIterator[AsyncIterator[Any]]:
        answer = await self.raw("GET", path, accept=accept)
        assert isinstance(answer, StreamReply), answer
        chunks = answer.chunks

        async def events() -> AsyncIterator[Any]:
            async for chunk in chunks:
                for line in bytes(chunk).splitlines():
                    yield json.loads(line)

        try:
            yield events()
        finally:
            await chunks.aclose()


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "data": {"k": "v"},
    }


@asynccontextmanager
async def api(env: Env | None = None) -> AsyncIterator[Api]:
    async with control_plane.api_server(env) as server:
        yield Api(server)


def names(listed: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


async def test_get_answers_with_what_was_stored() -> None:
    async with api() as ask:
        made = await ask.make("a")
        assert await ask("GET", f"{MAPS}/a") == (200, made)
        assert made["metadata"]["namespace"] == "default"
        assert made["metadata"]["uid"]
        status, missing = await ask("GET", f"{MAPS}/b")
        assert (status, missing["reason"]) == (404, "NotFound")
        assert missing["message"] == 'configmaps "b" not found'
        assert missing["details"] == {"name": "b", "kind": "configmaps"}


async def test_items_of_a_list_leave_kind_and_version_to_the_list() -> None:
    async with api() as ask:
        await ask.make("a")
        _, listed = await ask("GET", MAPS)
        assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
        assert not {"kind", "apiVersion"} & listed["items"][0].keys()


async def test_pages_are_of_one_moment() -> None:
    async with api() as ask:
        for name in "abcde":
            await ask.make(name)
        _, first = await ask("GET", f"{MAPS}?limit=2")
        assert names(first) == ["a", "b"]
        assert first["metadata"]["remainingItemCount"] == 3
        await ask.make("bb")
        await ask("DELETE", f"{MAPS}/d")
        token = first["metadata"]["continue"]
        _, second = await ask("GET", f"{MAPS}?limit=2&continue={token}")
        assert names(second) == ["c", "d"]
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        _, third = await ask("GET", f"{MAPS}?continue={second['metadata']['continue']}")
        assert names(third) == ["e"]
        assert "continue" not in third["metadata"]
        await ask.server.context.store.compact(ask.server.context.store.revision)
        status, expired = await ask("GET", f"{MAPS}?limit=2&continue={token}")
        assert (status, expired["reason"]) == (410, "Expired")
        # The token of the refusal reads on, at another moment.
        _, rest = await ask("GET", f"{MAPS}?continue={expired['metadata']['continue']}")
        assert names(rest) == ["bb", "c", "e"]


@pytest.mark.parametrize(
    ("selector", "desired"),
    [
        ("labelSelector=tier%3Dfront", ["a", "b"]),
        ("labelSelector=tier!%3Dfront", ["c"]),
        ("labelSelector=tier+in+(front,back),zone", ["a"]),
        ("labelSelector=!zone", ["b", "c"]),
        ("fieldSelector=metadata.name%3Db", ["b"]),
        ("fieldSelector=metadata.namespace%3Ddefault,metadata.name!%3Db", ["a", "c"]),
        ("labelSelector=tier%3Dfront&limit=1", ["a"]),
    ],
)
async def test_selectors(selector: str, desired: list[str]) -> None:
    async with api() as ask:
        await ask.make("a", tier="front", zone="x")
        await ask.make("b", tier="front")
        await ask.make("c", tier="back")
        _, listed = await ask("GET", f"{MAPS}?{selector}")
        assert names(listed) == desired


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("labelSelector=a+b", 400, "unable to parse requirement"),
        ("fieldSelector=data.k%3Dv", 400, '"data.k" is not a known field selector'),
        ("continue=%21%21", 400, "continue key is not valid"),
        ("limit=x", 400, "invalid syntax"),
        ("resourceVersion=x", 400, "invalid resource version: resourceVersion: Invalid value"),
        ("resourceVersion=999999", 504, "Too large resource version"),
        ("resourceVersionMatch=Exact", 422, "forbidden unless resourceVersion is provided"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, "is forbidden"),
    ],
)
async def test_bad_list_options(query: str, status: int, words: str) -> None:
    async with api() as ask:
        got, answer = await ask("GET", f"{MAPS}?{query}")
        assert got == status
        assert words in answer["message"]


async def test_a_list_at_an_exact_revision() -> None:
    async with api() as ask:
        made = await ask.make("a")
        await ask.make("b")
        version = made["metadata"]["resourceVersion"]
        query = f"resourceVersion={version}&resourceVersionMatch=Exact"
        _, listed = await ask("GET", f"{MAPS}?{query}")
        assert names(listed) == ["a"]
        _, newer = await ask("GET", f"{MAPS}?resourceVersion={version}")
        assert names(newer) == ["a", "b"]


async def test_tables_metadata_and_yaml() -> None:
    async with api() as ask:
        await ask.make("a")
        _, table = await ask("GET", MAPS, accept=TABLE)
        assert table["kind"] == "Table"
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
        (row,) = table["rows"]
        assert row["cells"][:2] == ["a", 1]
        assert row["object"]["kind"] == "PartialObjectMetadata"
        _, bare = await ask("GET", f"{MAPS}?includeObject=None", accept=TABLE)
        assert bare["rows"][0]["object"] is None
        accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        _, partial = await ask("GET", MAPS, accept=accept)
        assert partial["kind"] == "PartialObjectMetadataList"
        assert "data" not in partial["items"][0]
        answer = await ask.raw("GET", f"{MAPS}/a", accept="application/yaml")
        assert yaml.safe_load(answer.body)["data"] == {"k": "v"}
        status, refused = await ask("GET", MAPS, accept="text/html")
        assert (status, refused["reason"]) == (406, "NotAcceptable")


async def test_watch_from_a_revision_and_what_selection_makes_of_changes() -> None:
    async with api() as ask:
        made = await ask.make("a", tier="front")
        since = made["metadata"]["resourceVersion"]
        path = f"{MAPS}?watch=1&resourceVersion={since}&labelSelector=tier%3Dfront"
        async with ask.watch(path) as events:
            made["metadata"]["labels"] = {"tier": "back"}
            _, moved = await ask("PUT", f"{MAPS}/a", made)
            moved["metadata"]["labels"] = {"tier": "front"}
            await ask("PUT", f"{MAPS}/a", moved)
            await ask.make("other", tier="back")
            await ask("DELETE", f"{MAPS}/a")
            received = [await anext(events) for _ in range(3)]
        assert [item["type"] for item in received] == ["DELETED", "ADDED", "DELETED"]
        left = received[0]["object"]["metadata"]
        assert left["labels"] == {"tier": "front"}
        assert left["resourceVersion"] == moved["metadata"]["resourceVersion"]


async def test_watch_without_a_revision_begins_with_what_is_there() -> None:
    async with api() as ask:
        await ask.make("a")
        async with ask.watch(f"{MAPS}?watch=true&fieldSelector=metadata.name%3Da") as events:
            first = await anext(events)
        assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")


async def test_initial_events_end_with_a_bookmark() -> None:
    async with api() as ask:
        await ask.make("a")
        query = (
            "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&allowWatchBookmarks=true&fieldSelector=metadata.name%3Da"
        )
        async with ask.watch(f"{MAPS}?{query}") as events:
            received = [await anext(events) for _ in range(2)]
        assert [item["type"] for item in received] == ["ADDED", "BOOKMARK"]
        annotations = received[1]["object"]["metadata"]["annotations"]
        assert annotations == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_from_a_compacted_revision_is_gone() -> None:
    async with api() as ask:
        made = await ask.make("a")
        for name in "bc":
            await ask.make(name)
        await ask.server.context.store.compact(ask.server.context.store.revision)
        version = made["metadata"]["resourceVersion"]
        async with ask.watch(f"{MAPS}?watch=1&resourceVersion={version}") as events:
            received = [item async for item in events]
        [gone] = received
        assert gone["type"] == "ERROR"
        assert (gone["object"]["code"], gone["object"]["reason"]) == (410, "Expired")


async def test_watch_as_tables() -> None:
    async with api() as ask:
        async with ask.watch(f"{MAPS}?watch=1", accept=TABLE) as events:
            await ask.make("a")
            await ask.make("b")
            received = [await anext(events) for _ in range(2)]
        assert received[0]["object"]["columnDefinitions"]
        assert not received[1]["object"].get("columnDefinitions")


@virtual.test()
async def test_a_quiet_watch_tells_how_far_it_has_come_and_ends(env: Env) -> None:
    async with api(env) as ask:
        began = env.clock.monotonic()
        query = "watch=1&allowWatchBookmarks=true&timeoutSeconds=130&resourceVersion="
        query += str(ask.server.context.store.revision)
        async with ask.watch(f"{MAPS}?{query}") as events:
            received = [item async for item in events]
        assert [item["type"] for item in received] == ["BOOKMARK", "BOOKMARK"]
        assert env.clock.monotonic() - began == pytest.approx(130, abs=1)


async def test_component_statuses_are_made_when_asked_for() -> None:
    async with api() as ask:
        _, listed = await ask("GET", "/api/v1/componentstatuses")
        found = {item["metadata"]["name"]: item["conditions"][0] for item in listed["items"]}
        assert set(found) == {"controller-manager", "etcd-0", "scheduler"}
        assert found["etcd-0"] == {"type": "Healthy", "status": "True", "message": "ok"}
        assert found["scheduler"]["status"] == "False"
        lease = {
            "metadata": {"name": "kube-scheduler"},
            "spec": {
                "holderIdentity": "me",
                "leaseDurationSeconds": 15,
                "renewTime": time.format_micro(ask.server.context.env.clock.now()),
            },
        }
        await ask("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", lease)
        _, one = await ask("GET", "/api/v1/componentstatuses/scheduler")
        assert one["conditions"][0]["status"] == "True"
        assert (await ask("GET", "/api/v1/componentstatuses/other"))[0] == 404
        assert (await ask("POST", "/api/v1/componentstatuses", {}))[0] == 405


async def test_discovery_in_protobuf_is_whole() -> None:
    async with api() as ask:
        _, plain = await ask("GET", "/api/v1")
        answer = await ask.raw("GET", "/api/v1", accept="application/vnd.kubernetes.protobuf")
        assert decode.decode(answer.body, table.built_in()) == plain


async def test_an_index_finds_what_a_scan_finds() -> None:
    """The pods of a node, whatever was written, moved and deleted, and however much of it."""
    pods = "/api/v1/namespaces/default/pods"

    def pod(number: int, node: str) -> dict[str, Any]:
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        return {"metadata": {"name": f"p{number:03}"}, "spec": spec}

    async with api() as ask:
        rng = random.Random(7)
        where: dict[str, str] = {}
        # The longest round leaves the index behind, so that it is made anew.
        for rounds in (0, 5, 20, 600):
            for _ in range(rounds):
                number, node = rng.randrange(400), rng.choice(["n1", "n2", "n3"])
                name = f"p{number:03}"
                if name in where:
                    del where[name]
                    await ask("DELETE", f"{pods}/{name}?gracePeriodSeconds=0")
                else:
                    status, _ = await ask("POST", pods, pod(number, node))
                    assert status == 201
                    where[name] = node
            for node in ("n1", "n2", "absent"):
                expected = sorted(name for name, its in where.items() if its == node)
                _, listed = await ask("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
                assert names(listed) == expected
                _, page = await ask("GET", f"{pods}?fieldSelector=spec.nodeName%3D{node}&limit=2")
                assert names(page) == expected[:2]
                watching = f"{pods}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                watching += "&resourceVersionMatch=NotOlderThan"
                async with ask.watch(
                    f"{watching}&fieldSelector=spec.nodeName%3D{node}"
                ) as received:
                    for name in expected:
                        assert (await anext(received))["object"]["metadata"]["name"] == name
                    assert (await anext(received))["type"] == "BOOKMARK"
        _, elsewhere = await ask(
            "GET", "/api/v1/namespaces/other/pods?fieldSelector=spec.nodeName%3Dn1"
        )
        assert names(elsewhere) == []


@pytest.mark.parametrize(("gates", "status"), [({}, 200), ({"ShardedListAndWatch": True}, 400)])
async def test_shards_are_refused_where_they_would_count(gates: Any, status: int) -> None:
    async with control_plane.api_server(feature_gates=gates) as server:
        ask = Api(server)
        for method in ("GET", "DELETE"):
            answer = await ask(method, f"{MAPS}?shardSelector=x")
            assert answer[0] == status
