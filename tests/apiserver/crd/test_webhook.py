"""Conversion by a webhook: a real HTTPS server in this process."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.apiserver.crd.conftest import WIDGETS, CrdAsker, crd_api, definition, version, widget
from trireme.apiserver import chain
from trireme.apiserver.request import Request
from trireme.kit import pki

NOW = time.time()
V2 = WIDGETS.replace("/v1/", "/v2/")
APPLY = "application/apply-patch+yaml"
Change = Callable[[dict[str, Any], str], dict[str, Any]]


def split(obj: dict[str, Any], expected: str) -> dict[str, Any]:
    """v1 has spec.size, v2 has spec.width."""
    spec = dict(obj["spec"])
    if expected.endswith("/v2") and "size" in spec:
        spec["width"] = spec.pop("size")
    elif expected.endswith("/v1") and "width" in spec:
        spec["size"] = spec.pop("width")
    return {**obj, "apiVersion": expected, "spec": spec}


@asynccontextmanager
async def webhook(change: Change) -> AsyncIterator[tuple[str, bytes, list[int]]]:
    """The address, the authority, and how many objects each call had."""
    calls: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        review = await request.json()
        asked = review["request"]
        calls.append(len(asked["objects"]))
        converted = [change(obj, asked["desiredAPIVersion"]) for obj in asked["objects"]]
        response = {"uid": asked["uid"], "convertedObjects": converted}
        response["result"] = {"status": "Success"}
        review.pop("request")
        return web.json_response({**review, "response": response})

    authority = pki.new_authority("webhook authority", NOW)
    pair = pki.issue(authority, "webhook", NOW, names=("127.0.0.1",), server=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.write_bytes(pair.key + pair.certificate)
        context.load_cert_chain(path)
    app = web.Application()
    app.router.add_post("/convert", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"https://127.0.0.1:{port}/convert", authority.certificate, calls
    finally:
        await runner.cleanup()


def converted_by(url: str, authority: bytes) -> dict[str, Any]:
    second = version("v2", storage=False)
    spec: dict[str, Any] = {"type": "object", "properties": {"width": {"type": "integer"}}}
    second["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    spec["properties"]["color"] = {"type": "string"}
    client = {"url": url, "caBundle": base64.b64encode(authority).decode()}
    conversion = {
        "strategy": "Webhook",
        "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client},
    }
    return definition(versions=[version("v1"), second], conversion=conversion)


async def test_versions_of_different_shapes() -> None:
    async with webhook(split) as (url, authority, calls), crd_api() as ask:
        await ask.install(converted_by(url, authority))
        made = await ask.must("POST", V2, widget(api="v2", spec={"width": 3}))
        # What is stored has the defaults of its own version.
        assert made["spec"] == {"width": 3, "color": "blue"}
        stored = await ask.must("GET", f"{WIDGETS}/w")
        assert stored["spec"]["size"] == 3
        await ask.must("POST", WIDGETS, widget("x"))
        before = len(calls)
        listed = await ask.must("GET", V2)
        assert [item["spec"]["width"] for item in listed["items"]] == [3, 2]
        # One call for all that are not known yet, and none for what was converted before.
        await ask.must("GET", V2)
        assert len(calls) - before <= 1
        status, again = await ask.patch(f"{V2}/w", {"spec": {"width": 5}}, "merge-patch+json")
        assert (status, again["spec"]["width"]) == (200, 5)
        assert (await ask.must("GET", f"{WIDGETS}/w"))["spec"]["size"] == 5


async def test_fields_are_selected_in_the_version_that_is_asked_for() -> None:
    wide = f"{V2}?fieldSelector=spec.width%3D3"
    async with webhook(split) as (url, authority, _), crd_api() as ask:
        given = converted_by(url, authority)
        first, second = given["spec"]["versions"]
        first["selectableFields"] = [{"jsonPath": ".spec.size"}]
        second["selectableFields"] = [{"jsonPath": ".spec.width"}]
        await ask.install(given)
        await ask.must("POST", WIDGETS, widget("a", spec={"size": 3}))
        received = await watched(ask, f"{wide}&watch=true&resourceVersion=0&timeoutSeconds=100")
        old = await watched(ask, f"{WIDGETS}?fieldSelector=spec.size%3D3&watch=true")
        for each in (received, old):
            assert await anext(each) == ("ADDED", "a")
        await ask.must("POST", V2, widget("b", api="v2", spec={"width": 3}))
        await ask.must("POST", V2, widget("c", api="v2", spec={"width": 4}))
        listed = await ask.must("GET", wide)
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
        await ask.patch(f"{V2}/b", {"spec": {"width": 5}}, "merge-patch+json")
        await ask.must("DELETE", wide)
        for each in (received, old):
            got = [await anext(each) for _ in range(3)]
            assert got == [("ADDED", "b"), ("DELETED", "b"), ("DELETED", "a")]
        listed = await ask.must("GET", WIDGETS)
        assert [item["metadata"]["name"] for item in listed["items"]] == ["b", "c"]
        status, _ = await ask("GET", f"{V2}?fieldSelector=spec.size%3D3")
        assert status == 400


async def test_owners_of_other_versions_are_asked_about_by_webhook() -> None:
    def apply(ask: CrdAsker, path: str, who: str, given: dict[str, Any], force: str = "") -> Any:
        query = f"?fieldManager={who}{force}"
        return ask("PATCH", f"{path}/w{query}", given, {"content-type": APPLY})

    async with webhook(split) as (url, authority, _), crd_api() as ask:
        await ask.install(converted_by(url, authority))
        old, new = widget(spec={"size": 3}), widget(api="v2", spec={"width": 3})
        assert (await apply(ask, WIDGETS, "one", old))[0] == 201
        # The same value under the other version's name is shared, another one conflicts.
        status, _ = await apply(ask, V2, "two", new)
        assert status == 200
        status, got = await apply(ask, V2, "two", widget(api="v2", spec={"width": 4}))
        assert (status, got["reason"]) == (409, "Conflict")
        assert 'conflict with "one": .spec.size' in got["message"]
        _, forced = await apply(ask, V2, "two", widget(api="v2", spec={"width": 4}), "&force=true")
        assert forced["spec"]["width"] == 4
        # It lost its field, so that leaving it out removes nothing.
        owners = {item["manager"]: item for item in forced["metadata"]["managedFields"]}
        assert "one" not in owners
        assert owners["two"]["fieldsV1"] == {"f:spec": {"f:width": {}}}
        # What an update in one version changes is lost by who owns it in the other.
        status, updated = await ask.patch(f"{WIDGETS}/w", {"spec": {"size": 7}}, "merge-patch+json")
        assert status == 200
        assert "two" not in {item["manager"] for item in updated["metadata"]["managedFields"]}


async def watched(ask: CrdAsker, path: str) -> AsyncIterator[tuple[str, str]]:
    """The types of events and the names of what they are about."""
    path, _, query = path.partition("?")
    answer = await chain.handle(ask.server, Request("GET", path, query, {}, b"", user=ask.user))

    async def events() -> AsyncIterator[tuple[str, str]]:
        async for chunk in answer.chunks:
            for line in bytes(chunk).splitlines():
                event = json.loads(line)
                yield event["type"], event["object"]["metadata"]["name"]

    return events()


async def test_metadata_is_not_the_webhooks_to_change() -> None:
    def rename(obj: dict[str, Any], expected: str) -> dict[str, Any]:
        changed = split(obj, expected)
        return {**changed, "metadata": {**obj["metadata"], "name": "other"}}

    async with webhook(rename) as (url, authority, _), crd_api() as ask:
        await ask.install(converted_by(url, authority))
        await ask.must("POST", WIDGETS, widget())
        status, got = await ask("GET", f"{V2}/w")
        assert status == 500
        assert "must have the same name: w != other" in got["message"]


async def test_nobody_answers() -> None:
    authority = pki.new_authority("webhook authority", NOW).certificate
    async with crd_api(converted_by("https://127.0.0.1:1/convert", authority)) as ask:
        await ask.must("POST", WIDGETS, widget())
        status, got = await ask("GET", f"{V2}/w")
        assert status == 500
        assert got["message"].startswith(
            "Internal error occurred: conversion webhook for example.com/v1, Kind=Widget failed: "
            'Post "https://127.0.0.1:1/convert?timeout=30s"'
        )
