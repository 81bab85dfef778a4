"""Bad clients over real sockets: each gets what upstream gives, and the others go on.

After every test: nothing worse than a line in the log (no traceback), no task left behind.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from typing import Any

import pytest

from tests.apiserver.wire import (
    LIMITS,
    MAPS,
    PATIENCE,
    POWERLESS,
    Site,
    config_map,
    request,
    served,
    site,
)
from trireme.apiserver.bodies import BODY_LIMIT
from trireme.apiserver.connections import Limits

__all__ = ["site"]


# What is no good request.


@pytest.mark.parametrize(
    ("method", "path", "body", "media", "code", "reason"),
    [
        ("POST", MAPS, b"{", "application/json", 400, "BadRequest"),
        ("POST", MAPS, b"", "application/json", 400, "BadRequest"),
        ("POST", MAPS, b"null", "application/json", 422, "Invalid"),
        ("POST", MAPS, b"[]", "application/json", 400, "BadRequest"),
        ("POST", MAPS, b"a: [", "application/yaml", 400, "BadRequest"),
        ("POST", MAPS, b"a: &x [*x, *x]", "application/yaml", 400, "BadRequest"),
        ("POST", MAPS, config_map() + b"}", "application/json", 400, "BadRequest"),
        ("POST", MAPS, b'{"data": "\xff\xfe"}', "application/json", 400, "BadRequest"),
        # Go reads U+FFFD for what is no UTF-8 inside a string.
        ("POST", MAPS, b'{"data": {"a": "\xed\xa0\x80"}}', "application/json", 422, "Invalid"),
        ("POST", MAPS, b"k8s\x00\x0a\xff\xff\xff\xff", "application/vnd.kubernetes.protobuf", 400,
         "BadRequest"),
        ("POST", MAPS, config_map(), "text/html", 415, "UnsupportedMediaType"),
        ("POST", MAPS, config_map(data={"a": 1}), "application/json", 400, "BadRequest"),
        ("POST", MAPS, config_map(data=["a"]), "application/json", 400, "BadRequest"),
        ("POST", MAPS, config_map("Bad_Name"), "application/json", 422, "Invalid"),
        ("POST", MAPS, config_map("a" * 300), "application/json", 422, "Invalid"),
        ("POST", MAPS, config_map("../etc"), "application/json", 422, "Invalid"),
        ("POST", MAPS, config_map(""), "application/json", 422, "Invalid"),
        ("POST", MAPS, config_map(kind="Secret"), "application/json", 400, "BadRequest"),
        ("POST", MAPS, config_map(apiVersion="v2"), "application/json", 400, "BadRequest"),
        ("POST", MAPS.replace("default", "none"), config_map(), "application/json", 404,
         "NotFound"),
        ("POST", "/api/v1/configmaps", config_map(), "application/json", 405,
         "MethodNotAllowed"),
        ("POST", "/api/v1/widgets", b"{}", "application/json", 404, "NotFound"),
        ("GET", f"{MAPS}/none", None, "", 404, "NotFound"),
        ("PUT", MAPS, config_map(), "application/json", 405, "MethodNotAllowed"),
        ("OPTIONS", MAPS, None, "", 405, "MethodNotAllowed"),
        ("PATCH", f"{MAPS}/none", b"{}", "application/merge-patch+json", 404, "NotFound"),
        ("PATCH", f"{MAPS}/kube-root-ca.crt", b"{}", "application/json", 415,
         "UnsupportedMediaType"),
        ("GET", f"{MAPS}?limit=x", None, "", 400, "BadRequest"),
        ("GET", f"{MAPS}?labelSelector=a%3D%3D%3D", None, "", 400, "BadRequest"),
        ("GET", f"{MAPS}?fieldSelector=spec.x%3D1", None, "", 400, "BadRequest"),
        ("GET", f"{MAPS}?continue=rubbish", None, "", 400, "BadRequest"),
        ("GET", f"{MAPS}?continue=%00%ff", None, "", 400, "BadRequest"),
        ("GET", f"{MAPS}?resourceVersion=-5", None, "", 400, "BadRequest"),
        ("GET", f"{MAPS}?resourceVersion=99999999", None, "", 504, "Timeout"),
        ("DELETE", f"{MAPS}/none?gracePeriodSeconds=x", None, "", 400, "BadRequest"),
        ("DELETE", f"{MAPS}/none?propagationPolicy=Now", None, "", 422, "Invalid"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_a_status(
    site: Site, method: str, path: str, body: bytes | None, media: str, code: int, reason: str
) -> None:
    status, got = await site.ask(method, path, body, media=media)
    assert (status, got["kind"], got["status"]) == (code, "Status", "Failure"), got
    assert (got["code"], got["reason"]) == (code, reason)
    assert got["message"]


async def test_unknown_fields_are_refused_warned_of_or_dropped(site: Site) -> None:
    body = config_map("u", spec={"x": 1})
    status, got = await site.ask("POST", f"{MAPS}?fieldValidation=Strict", body)
    assert (status, got["reason"]) == (400, "BadRequest")
    assert 'unknown field "spec"' in got["message"]
    wire = await site.wire()
    wire.send(request("POST", MAPS, body))
    status, headers, _ = await wire.answer()
    assert status == 201 and "unknown field" in headers["warning"]
    status, made = await site.ask(
        "POST", f"{MAPS}?fieldValidation=Ignore", body.replace(b'"u"', b'"v"')
    )
    assert status == 201 and "spec" not in made


async def test_a_403_says_what_is_forbidden(site: Site) -> None:
    status, got = await site.ask("GET", MAPS, token=POWERLESS)
    assert (status, got["reason"]) == (403, "Forbidden")
    assert got["message"] == (
        'configmaps is forbidden: User "nobody" cannot list resource "configmaps" '
        'in API group "" in the namespace "default"'
    )
    status, got = await site.ask("GET", MAPS, token="made-up")
    assert (status, got["reason"], got["message"]) == (401, "Unauthorized", "Unauthorized")


@pytest.mark.parametrize("depth", [150, 20_000])
async def test_deep_nesting(site: Site, depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    body = config_map("deep")[:-1] + b',"data":' + deep + b"}"
    status, got = await site.ask("POST", MAPS, body)
    assert (status, got["reason"]) == (400, "BadRequest")
    yaml = b"[" * depth + b"]" * depth
    status, got = await site.ask("POST", MAPS, yaml, media="application/yaml")
    assert (status, got["reason"]) == (400, "BadRequest")


async def test_a_changed_continue_token(site: Site) -> None:
    for name in ("a", "b", "c"):
        await site.ask("POST", MAPS, config_map(name))
    _, page = await site.ask("GET", f"{MAPS}?limit=1")
    token = page["metadata"]["continue"]
    for at in range(0, len(token), 3):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        status, got = await site.ask("GET", f"{MAPS}?limit=1&continue={changed}")
        assert status in (200, 400, 410, 504), got


# Bodies.


async def test_a_body_of_more_than_3_mib(site: Site) -> None:
    status, got = await site.ask("POST", MAPS, b" " * (BODY_LIMIT + 1))
    assert (status, got["reason"], got["code"]) == (413, "RequestEntityTooLarge", 413)
    status, _ = await site.ask("POST", MAPS, config_map("fits") + b" " * 2_000_000)
    assert status == 201


async def test_a_body_without_end_is_cut_off_at_the_limit(site: Site) -> None:
    wire = await site.wire()
    wire.send(request("POST", MAPS, Transfer_Encoding="chunked", Content_Type="application/json"))
    for _ in range(5):
        wire.send(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
    status, _, body = await wire.answer()
    assert (status, json.loads(body)["reason"]) == (413, "RequestEntityTooLarge")


async def test_bodies_are_not_unpacked(site: Site) -> None:
    packed = gzip.compress(config_map("zipped"), mtime=0)
    status, got = await site.ask("POST", MAPS, packed, Content_Encoding="gzip")
    assert (status, got["reason"]) == (400, "BadRequest")
    assert (
        "json parse error: invalid character '\\x1f' looking for beginning of value"
        in (got["message"])
    )


async def test_chunks_that_are_none(site: Site) -> None:
    wire = await site.wire()
    wire.send(request("POST", MAPS, Transfer_Encoding="chunked") + b"zz\r\nrubbish\r\n")
    status, _, _ = await wire.answer()
    assert status == 400
    await wire.ended()


async def test_half_a_body_times_out(site: Site) -> None:
    wire = await site.wire()
    wire.send(request("POST", MAPS, b"x" * 100)[:-50])
    await site.alive()
    status, _, body = await wire.answer()
    assert (status, json.loads(body)["reason"]) == (504, "Timeout")
    await wire.ended()


async def test_a_client_that_goes_away_in_the_middle_of_its_body(site: Site) -> None:
    wire = await site.wire()
    wire.send(request("POST", MAPS, b"x" * 100)[:-50])
    await begun("read")
    wire.close()
    await left("read", 0)


# Heads.


async def test_half_a_head_times_out(site: Site) -> None:
    wire = await site.wire()
    wire.send(b"GET /api HTTP/1.1\r\nHost: a\r\n")
    assert await wire.ended() == b""


async def test_a_head_that_drips_is_not_waited_for(site: Site) -> None:
    wire = await site.wire()
    wire.send(b"GET /api HTTP/1.1\r\n")

    async def drip() -> None:
        while not wire.writer.is_closing():
            wire.send(b"X-A: b\r\n")
            # The client's own pace: quicker than a head may take, slower than it lasts.
            await asyncio.sleep(LIMITS.head / 6)

    dripping = asyncio.create_task(drip())
    assert await wire.ended() == b""
    dripping.cancel()


@pytest.mark.parametrize(
    "head",
    [
        b"rubbish\r\n\r\n",
        b"GET /api HTTP/9.9\r\n\r\n",
        b"GET /api\r\n\r\n",
        b"GET /api HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: a\r\nA\x00B: c\r\n\r\n",
        b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_what_is_no_http(site: Site, head: bytes) -> None:
    wire = await site.wire()
    wire.send(head)
    status, _, body = await wire.answer()
    assert (status, body) == (400, b"400 Bad Request")
    assert await wire.ended() == b""


async def test_a_head_that_is_too_large(site: Site) -> None:
    wire = await site.wire()
    wire.send(request("GET", "/api", X_Large="x" * 2_000_000))
    status, _, _ = await wire.answer()
    assert status == 431
    assert (await site.ask("GET", "/api", X_Large="x" * 900_000))[0] == 200


async def test_a_head_of_many_lines_that_is_too_large(site: Site) -> None:
    wire = await site.wire()
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(2000))
    wire.send(b"GET /api HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    status, _, body = await wire.answer()
    assert (status, body) == (431, b"431 Request Header Fields Too Large")


async def test_a_user_of_two_thousand_groups_can_be_impersonated(site: Site) -> None:
    groups = [f"group-{number}" for number in range(2000)]
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}'
    sent = request("POST", path, body, Impersonate_User="jo")
    lines = "".join(f"Impersonate-Group: {group}\r\n" for group in groups).encode()
    wire = await site.wire()
    # On one connection more than a head may have in all: what was read before is forgotten.
    for _ in range(2):
        wire.send(sent.replace(b"\r\n", b"\r\n" + lines, 1))
        status, _, answer = await wire.answer()
        assert status == 201
        info = json.loads(answer)["status"]["userInfo"]
        assert info["groups"] == [*groups, "system:authenticated"]


async def test_a_body_is_no_part_of_the_head(site: Site) -> None:
    body = config_map(data={"a": "x" * 900_000})
    wire = await site.wire()
    for name in ("a", "b", "c"):
        wire.send(request("POST", MAPS, body.replace(b'"name": "a"', f'"name": "{name}"'.encode())))
        assert (await wire.answer())[0] == 201


async def test_no_header_names_the_server(site: Site) -> None:
    for sent in (
        request("GET", "/api"),
        b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        b"no\r\n\r\n",
    ):
        wire = await site.wire()
        wire.send(sent)
        _, headers, _ = await wire.answer()
        assert "server" not in headers


async def test_no_tls(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    # At most TLS's own word for it (an alert), and the end.
    assert b"HTTP" not in await reader.read()
    writer.close()


async def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    wire = await site.wire()
    wire.send(
        request("POST", MAPS, config_map("first"))
        + request("GET", f"{MAPS}/first")
        + request("GET", f"{MAPS}/second")
        + request("GET", "/readyz")
    )
    assert [(await wire.answer())[0] for _ in range(4)] == [201, 200, 404, 200]


@pytest.mark.parametrize(
    "path",
    ["/%", "/%zz", "/api/v1/namespaces/%2e%2e/pods", "/api/v1/pods/%00", "//", "/api//v1/pods",
     "/api/v1/namespaces/a%2Fb/pods", "/?%", "*",
     "/api/v1/namespaces/%ff/pods/%fe", "/" + "a/" * 5_000],
)  # fmt: skip
async def test_odd_paths(site: Site, path: str) -> None:
    status, _ = await site.ask("GET", path, Connection="close")
    assert status < 500


# Readers.


async def test_a_client_that_never_reads_its_watch_is_cut_off(site: Site) -> None:
    wire = await site.wire(limit=1024)
    wire.send(request("GET", f"{MAPS}?watch=1"))
    await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), PATIENCE)
    # From here on the client's own buffers fill: nothing is read.
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    other = await site.wire()
    other.send(request("GET", f"{MAPS}?watch=1"))
    writing = await site.wire()
    large = {"k": "x" * 900_000}
    for number in range(30):
        writing.send(request("POST", MAPS, config_map(f"w-{number}", data=large)))
        assert (await writing.answer())[0] == 201
        received = b""
        async with asyncio.timeout(PATIENCE):
            while f'"name":"w-{number}"'.encode() not in received:
                received = received[-100:] + await other.reader.read(1 << 20)
    await left("_stream", 1)


async def test_a_client_that_reads_now_and_then_misses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Some events are written as they come, others wait for it: in order, each once."""
    async with served(caplog, Limits()) as site:
        reader = await site.wire(limit=1024)
        reader.send(request("GET", f"{MAPS}?watch=1"))
        await asyncio.wait_for(reader.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        writing = await site.wire()
        received = b""
        for number in range(120):
            paused = number % 40 >= 10
            if not paused:
                reader.writer.transport.resume_reading()  # type: ignore[attr-defined]
            else:
                reader.writer.transport.pause_reading()  # type: ignore[attr-defined]
            writing.send(
                request("POST", MAPS, config_map(f"n-{number}", data={"k": "x" * 100_000}))
            )
            assert (await writing.answer())[0] == 201
            async with asyncio.timeout(PATIENCE):
                while not paused and f'"name":"n-{number}"'.encode() not in received:
                    received += await reader.reader.read(1 << 20)
        async with asyncio.timeout(PATIENCE):
            reader.writer.transport.resume_reading()  # type: ignore[attr-defined]
            while b'"name":"n-119"' not in received:
                received += await reader.reader.read(1 << 20)
        names = [int(name) for name in re.findall(rb'"name":"n-(\d+)"', received)]
        assert names == list(range(120))


async def test_a_client_that_never_reads_its_list_is_cut_off(site: Site) -> None:
    for number in range(20):
        data = {"k": "x" * 900_000}
        await site.ask("POST", MAPS, config_map(f"l-{number}", data=data))
    wire = await site.wire(limit=1024)
    wire.send(request("GET", MAPS))
    await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), PATIENCE)
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await site.alive()
    await left("_large", 0)


async def test_a_watch_ends_when_its_client_goes(site: Site) -> None:
    wire = await site.wire()
    wire.send(request("GET", f"{MAPS}?watch=1"))
    await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert len(_inside("_stream")) == 1
    wire.close()
    await left("_stream", 0)


async def test_a_compressed_list_is_whole(site: Site) -> None:
    for number in range(5):
        await site.ask("POST", MAPS, config_map(f"g-{number}", data={"k": "x" * 100_000}))
    wire = await site.wire()
    wire.send(request("GET", MAPS, Accept_Encoding="gzip"))
    status, headers, body = await wire.answer()
    assert (status, headers["content-encoding"]) == (200, "gzip")
    _, plain = await site.ask("GET", MAPS)
    assert json.loads(gzip.decompress(body)) == plain


async def test_a_list_in_pieces_is_whole(site: Site) -> None:
    for number in range(150):
        await site.ask("POST", MAPS, config_map(f"p-{number:03}", data={"k": "x" * 3_000}))
    status, listed = await site.ask("GET", MAPS)
    names = [item["metadata"]["name"] for item in listed["items"]]
    assert status == 200
    assert names == [f"p-{number:03}" for number in range(150)]
    assert "kind" not in listed["items"][0] and "kind" not in listed["items"][149]


# What a client cannot see.


async def begun(name: str) -> None:
    """Return once a task is inside a function of this name."""
    async with asyncio.timeout(PATIENCE):
        while not _inside(name):  # noqa: ASYNC110
            # The server runs on this loop: each turn brings it on.
            await asyncio.sleep(0)


async def left(name: str, count: int) -> None:
    """Return once no more than so many tasks are inside a function of this name."""
    async with asyncio.timeout(PATIENCE):
        while len(inside := _inside(name)) > count:
            await asyncio.wait(inside, return_when=asyncio.FIRST_COMPLETED)


def _inside(name: str) -> list[asyncio.Task[Any]]:
    return [
        task
        for task in asyncio.all_tasks()
        if any(frame.f_code.co_name == name for frame in _frames(task))
    ]


def _frames(task: asyncio.Task[Any]) -> list[Any]:
    frames, inner = [], task.get_coro()
    while inner is not None and getattr(inner, "cr_frame", None) is not None:
        frames.append(inner.cr_frame)
        inner = inner.cr_await
    return frames
