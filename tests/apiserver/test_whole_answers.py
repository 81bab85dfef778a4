"""Short answers are written past aiohttp's response objects; on the wire they are the same."""

from __future__ import annotations

import json

import pytest
from aiohttp import HttpVersion11, web

from tests.apiserver.wire import MAPS, POWERLESS, Answer, Site, request, site
from trireme.apiserver import whole
from trireme.apiserver.reply.reply import Reply

__all__ = ["site"]
NOT_FOUND, FORBIDDEN = f"{MAPS}/nowhere", "/api/v1/nodes"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
OURS = json.dumps(
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
).encode()


async def asked(site: Site, *args: object, **more: object) -> Answer:
    wire = await site.wire()
    wire.send(request(*args, **more))  # type: ignore[arg-type]
    return await wire.answer()


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (f"{MAPS}/a", {}),
        (MAPS, {}),
        (MAPS, {"Accept": TABLE}),
        (f"{MAPS}/a", {"Accept": "application/yaml"}),
        (NOT_FOUND, {}),
        ("/nowhere", {}),
        ("/readyz", {}),
        (FORBIDDEN, {"token": POWERLESS}),
    ],
)
async def test_the_same_as_by_aiohttp(site: Site, path: str, more: dict[str, str]) -> None:
    assert (await site.ask("POST", MAPS, OURS))[0] == 201
    short = await asked(site, "GET", path, **more)
    # A request that names its audit ID is answered by aiohttp's response.
    other = await asked(site, "GET", path, **more, Audit_Id="mine")
    assert short[1]["audit-id"] != other[1]["audit-id"] == "mine"
    for answer in (short, other):
        del answer[1]["audit-id"], answer[1]["date"]
    if "Table" not in more.get("Accept", ""):
        assert short[2] == other[2]
        assert short[1] == other[1]
    assert (short[0], short[1].keys()) == (other[0], other[1].keys())


async def test_many_on_one_connection(site: Site) -> None:
    """Each answer ends where the next begins; those of another form stand between them."""
    wire = await site.wire()
    sent = [
        request("POST", MAPS, OURS),
        request("GET", f"{MAPS}/a"),
        request("HEAD", "/readyz"),
        request("GET", NOT_FOUND),
        request("GET", f"{MAPS}/a", Audit_Id="mine"),
        request("GET", f"{MAPS}/a", Connection="close"),
    ]
    wire.send(b"".join(sent))
    found = []
    for position in range(len(sent)):
        if position == 2:
            head = (await wire.reader.readuntil(b"\r\n\r\n")).decode()
            found.append((int(head.split(" ")[1]), ""))
            continue
        status, headers, _ = await wire.answer()
        found.append((status, headers.get("connection", "")))
    assert found == [(201, ""), (200, ""), (200, ""), (404, ""), (200, ""), (200, "close")]
    assert await wire.ended() == b""


async def test_the_old_version_of_http(site: Site) -> None:
    wire = await site.wire()
    wire.send(request("GET", "/readyz").replace(b"HTTP/1.1", b"HTTP/1.0"))
    head = (await wire.reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.0 200 ")
    assert await wire.ended() == b"ok"


class _Incoming:
    version, keep_alive, method = HttpVersion11, True, "GET"


@pytest.mark.parametrize(
    ("answer", "fits"),
    [
        (Reply(200, b"x"), True),
        (Reply(200, b"x", headers={"Location": "/"}), False),
        (Reply(204), False),
        (Reply(304), False),
        (Reply(101), False),
        # What a pod says of its page is no way to write other headers.
        (Reply(200, b"x", "text/html\r\nSet-Cookie: a=b"), False),
        (Reply(200, b"x", "text/\u00e9"), False),
    ],
)
def test_what_is_of_another_form_is_left_to_aiohttp(answer: Reply, fits: bool) -> None:
    assert whole.fits(_Incoming(), answer) is fits  # type: ignore[arg-type]


async def test_what_is_warned_of_is_left_to_aiohttp() -> None:
    answer = Reply(200, b"x")
    answer.warnings = ['299 - "a"']
    assert not whole.fits(_Incoming(), answer)  # type: ignore[arg-type]


async def test_nothing_is_written_to_who_has_gone() -> None:
    class Gone(_Incoming):
        transport = None

    response = await whole.write(Gone(), Reply(200, b"x"), "id")  # type: ignore[arg-type]
    assert isinstance(response, web.StreamResponse)
    assert response.keep_alive
