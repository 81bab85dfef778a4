"""Content types: what is sent and accepted as protobuf, CBOR, YAML and JSON, plain or indented."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from trireme.apiserver import chain
from trireme.apiserver.reply import negotiate
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.machinery import errors
from trireme.machinery.codec import cbor
from trireme.machinery.codec.protobuf import decode, encode, table
from trireme.testing import control_plane

ADMIN = User("admin", groups=("system:masters",))
MAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF = "application/vnd.kubernetes.protobuf"
META = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
META_LIST = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE = "as=Table;g=meta.k8s.io;v=v1"
# What client-go's controllers ask for.
CONTROLLER = f"{PROTOBUF},application/json"
MESSAGES = table.built_in()


class Client:
    """Requests with headers; answers as they are."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def __call__(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> Reply | StreamReply:
        path, _, query = path.partition("?")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(method, path, query, sent, body, user=ADMIN)
        answer = await chain.handle(self.server, request)
        assert isinstance(answer, Reply | StreamReply)
        return answer

    async def make(self, name: str) -> None:
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        answer = await self("POST", MAPS, msgspec.json.encode(obj | {"data": {"k": "v"}}))
        assert answer.status == 201


@asynccontextmanager
async def client(**config: Any) -> AsyncIterator[Client]:
    async with control_plane.api_server(**config) as server:
        yield Client(server)


def parsed(body: bytes) -> dict[str, Any]:
    """A protobuf body; the items of a list have no kinds of their own."""
    return decode.decode(body, MESSAGES)


async def test_an_object_and_a_list_in_protobuf_say_what_json_says() -> None:
    async with client() as ask:
        await ask.make("a")
        one = await ask("GET", f"{MAPS}/a", accept=CONTROLLER)
        plain = await ask("GET", f"{MAPS}/a")
        assert one.content_type == PROTOBUF
        assert parsed(one.body) == msgspec.json.decode(plain.body)
        for query in ("", "?limit=1", "?labelSelector=x%3Dy"):
            listed = await ask("GET", MAPS + query, accept=CONTROLLER)
            plain = await ask("GET", MAPS + query)
            desired = msgspec.json.decode(plain.body)
            assert parsed(listed.body).get("items", []) == desired["items"]
            assert parsed(listed.body)["metadata"] == desired["metadata"]


async def test_a_body_in_protobuf_is_answered_in_protobuf() -> None:
    encoder = encode.Encoder(MESSAGES)
    obj = {"metadata": {"name": "p"}, "data": {"a": "b"}}
    raw = encoder.from_json("core.v1.ConfigMap", msgspec.json.encode(obj))
    body = encode.enclosed(encode.envelope("v1", "ConfigMap"), raw)
    async with client() as ask:
        made = await ask("POST", MAPS, body, content_type=PROTOBUF, accept=CONTROLLER)
        assert (made.status, parsed(made.body)["data"]) == (201, {"a": "b"})
        options = encoder.from_json("meta.v1.DeleteOptions", b'{"gracePeriodSeconds":0}')
        body = encode.enclosed(encode.envelope("v1", "DeleteOptions"), options)
        gone = await ask("DELETE", f"{MAPS}/p", body, content_type=PROTOBUF, accept=CONTROLLER)
        assert parsed(gone.body)["status"] == "Success"
        missing = await ask("GET", f"{MAPS}/p", accept=CONTROLLER)
        assert missing.content_type == PROTOBUF
        assert (parsed(missing.body)["kind"], parsed(missing.body)["code"]) == ("Status", 404)


async def test_metadata_alone_in_protobuf() -> None:
    async with client() as ask:
        await ask.make("a")
        one = await ask("GET", f"{MAPS}/a", accept=f"{PROTOBUF};{META},application/json")
        found = parsed(one.body)
        assert (found["kind"], found["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
        assert found.keys() == {"kind", "apiVersion", "metadata"}
        many = await ask("GET", MAPS, accept=f"{PROTOBUF};{META_LIST}")
        listed = parsed(many.body)
        assert listed["kind"] == "PartialObjectMetadataList"
        assert {"a"} <= {item["metadata"]["name"] for item in listed["items"]}
        wrong = await ask("GET", MAPS, accept=f"application/json;{META}")
        assert wrong.status == 406
        assert b"requested object is a list" in wrong.body


async def test_a_watch_in_protobuf_is_frames() -> None:
    async with client() as ask:
        await ask.make("a")
        path = f"{MAPS}?watch=1&allowWatchBookmarks=1&fieldSelector=metadata.name%3Da"
        for accept, kind in ((CONTROLLER, "ConfigMap"), (f"{PROTOBUF};{META}", None)):
            answer = await ask("GET", path, accept=accept)
            assert isinstance(answer, StreamReply)
            assert answer.content_type == f"{PROTOBUF};stream=watch"
            first = await anext(answer.chunks)
            await answer.chunks.aclose()
            received = frames(first)
            assert [type_ for type_, _ in received] == ["ADDED", "BOOKMARK"]
            expected = kind or "PartialObjectMetadata"
            assert [obj["kind"] for _, obj in received] == [expected, expected]
            assert received[0][1]["metadata"]["name"] == "a"
            assert received[1][1]["metadata"]["annotations"] == {
                "k8s.io/initial-events-end": "true"
            }


def frames(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Events of a stream: each frame is a WatchEvent, whose object is a whole body."""
    found = []
    while data:
        (size,) = struct.unpack(">I", data[:4])
        event, data = data[4 : 4 + size], data[4 + size :]
        at = 2 + event[1]
        type_ = event[2:at].decode()
        found.append((type_, parsed(event[event.index(encode.MAGIC) :])))
    return found


async def test_a_watch_that_fails_says_so_in_its_form() -> None:
    async with client() as ask:
        await ask.make("a")
        since = ask.server.context.store.revision
        for name in "bcd":
            await ask.make(name)
        await ask.server.context.store.compact(ask.server.context.store.revision)
        answer = await ask("GET", f"{MAPS}?watch=1&resourceVersion={since}", accept=PROTOBUF)
        assert isinstance(answer, StreamReply)
        [(type_, status)] = frames(await anext(answer.chunks))
        assert (type_, status["code"], status["reason"]) == ("ERROR", 410, "Expired")


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/yaml", "application/yaml"),
        (f"{PROTOBUF};q=0.5,application/json;q=0.9", "application/json"),
        (f"application/json;q=0.5,{PROTOBUF}", PROTOBUF),
        (f"*/*,{PROTOBUF}", PROTOBUF),
        (f"{PROTOBUF};{TABLE},application/json;{TABLE}", "application/json"),
        (f"application/json;as=Other;g=meta.k8s.io;v=v1,{PROTOBUF}", PROTOBUF),
        ("text/html, application/yaml;q=0.1", "application/yaml"),
    ],
)
def test_what_is_accepted_first(accept: str, media: str) -> None:
    assert negotiate.accept(accept).media == media


@pytest.mark.parametrize(
    "accept", ["text/html", "application/cbor", f"{PROTOBUF};{TABLE}", "a/b/c"]
)
def test_what_is_not_served_is_refused(accept: str) -> None:
    with pytest.raises(errors.ApiError) as error:
        negotiate.accept(accept)
    assert error.value.code == 406
    assert error.value.message.endswith(f": application/json, application/yaml, {PROTOBUF}")


async def test_yaml_is_no_stream() -> None:
    async with client() as ask:
        answer = await ask("GET", f"{MAPS}?watch=1", accept="application/yaml")
        assert answer.status == 406
        got = " ".join(answer.body.decode().split())
        assert f"application/json;stream=watch, {PROTOBUF};stream=watch" in got


async def test_people_get_indented_json() -> None:
    async with client() as ask:
        await ask.make("a")
        for path, agent, indented in (
            (f"{MAPS}/a", "curl/8.0", True),
            (f"{MAPS}/a?pretty=1", "client", True),
            (f"{MAPS}/a?pretty=false", "Mozilla/5.0 (X11)", False),
            (f"{MAPS}/a", "kubectl/v1.36", False),
            (f"{MAPS}/none", "Wget/1", True),
            ("/apis", "curl/8.0", True),
        ):
            answer = await ask("GET", path, user_agent=agent)
            assert (b"\n  " in answer.body) is indented, path


async def test_cbor_is_behind_its_gate() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    body = cbor.dump(obj)
    async with client() as ask:
        refused = await ask("POST", MAPS, body, content_type="application/cbor")
        assert refused.status == 415
        refused = await ask("GET", MAPS, accept="application/cbor")
        assert refused.status == 406
    async with client(feature_gates={"CBORServingAndStorage": True}) as ask:
        made = await ask("POST", MAPS, body, content_type="application/cbor")
        assert made.status == 201
        one = await ask("GET", f"{MAPS}/c", accept="application/cbor")
        assert one.content_type == "application/cbor"
        assert cbor.load(one.body)["metadata"]["name"] == "c"
        path = f"{MAPS}?watch=1&fieldSelector=metadata.name%3Dc"
        answer = await ask("GET", path, accept="application/cbor")
        assert isinstance(answer, StreamReply)
        assert answer.content_type == "application/cbor-seq"
        event = cbor.load(await anext(answer.chunks))
        assert (event["type"], event["object"]["kind"]) == ("ADDED", "ConfigMap")
        await answer.chunks.aclose()


async def test_what_a_gate_cannot_be() -> None:
    with pytest.raises(ValueError, match="unrecognized feature gate: Nonsense"):
        async with client(feature_gates={"Nonsense": True}):
            pass
    with pytest.raises(ValueError, match="APIServerTracing to false, feature is locked to true"):
        async with client(feature_gates={"APIServerTracing": False}):
            pass


async def test_a_watch_of_tables_has_the_heads_in_its_first_event_only() -> None:
    async with client() as ask:
        await ask.make("a")
        await ask.make("b")
        answer = await ask(
            "GET",
            f"{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&allowWatchBookmarks=true&timeoutSeconds=1",
            accept=f"application/json;{TABLE}",
        )
        assert isinstance(answer, StreamReply)
        lines = b"".join([chunk async for chunk in answer.chunks]).splitlines()
        events = [msgspec.json.decode(line) for line in lines]
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
    tables = [event["object"] for event in events]
    assert tables[0]["columnDefinitions"][0]["name"] == "Name"
    assert [one["columnDefinitions"] for one in tables[1:]] == [None, None]
    for one in tables:
        (row,) = one["rows"]
        assert one["metadata"] == {"resourceVersion": row["object"]["metadata"]["resourceVersion"]}
