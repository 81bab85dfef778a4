"""Policies refuse, warn of and change what upstream's do, in the same words.

``policies.json`` holds policies with their bindings and parameters, and the writes that upstream's
API server (v1.36.2) answered after them: status, essence of the answer, warnings. Not among them is
what upstream gets wrong: a mutation in another version than the request's, which it cannot convert
back.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.apiserver.test_reading import ADMIN

from trireme.apiserver import chain
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.testing import control_plane

RECORDED = json.loads(Path(__file__).with_name("policies.json").read_bytes())
_KEPT = ("data", "spec", "max", "items", "map")


async def ask(server: ApiServer, step: dict[str, Any]) -> Any:
    body = b"" if step["body"] is None else json.dumps(step["body"]).encode()
    headers = {"content-type": step.get("media", "application/json"), "user-agent": "probe/1"}
    path, _, query = step["path"].partition("?")
    return await chain.handle(
        server, Request(step["method"], path, query, headers, body, user=ADMIN)
    )


async def served(server: ApiServer, path: str) -> None:
    """A definition has been accepted."""
    step = {"method": "GET", "path": path, "body": None}
    async with asyncio.timeout(10):
        while (await ask(server, step)).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0)


def essence(step: dict[str, Any], status: int, answer: dict[str, Any]) -> dict[str, Any]:
    if status >= 300:
        return {key: answer.get(key) for key in ("message", "reason", "details", "code")}
    kept = {key: answer[key] for key in _KEPT if key in answer}
    meta = answer.get("metadata", {})
    kept["metadata"] = {key: meta[key] for key in ("name", "labels", "annotations") if key in meta}
    if "/namespaces/c-mu/" in step["path"]:
        kept["managed"] = sorted(
            json.dumps([entry["manager"], entry["operation"], entry["fieldsV1"]], sort_keys=True)
            for entry in meta.get("managedFields", [])
        )
    return kept


async def test_every_write_is_answered_as_by_upstream() -> None:
    async with control_plane.api_server(post_start_hooks=True) as server:
        for step in RECORDED["setup"]:
            answer = await ask(server, step)
            assert answer.status == 201, (step, answer.body)
            if step["body"]["kind"] == "CustomResourceDefinition":
                await served(server, "/apis/rules.example.com/v1/limits")
        for step in RECORDED["writes"]:
            answer = await ask(server, step)
            found = essence(step, answer.status, json.loads(answer.body))
            expected = step["status"], step["answer"], step["warnings"]
            assert (answer.status, found, sorted(answer.warnings)) == expected, step
