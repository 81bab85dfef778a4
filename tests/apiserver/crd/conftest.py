"""An API server with its definitions' life cycle running, and a definition to change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.apiserver.conftest import ADMIN, Asker
from trireme.apiserver import chain
from trireme.apiserver.request import Request
from trireme.testing import control_plane

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1},
        "color": {"type": "string", "default": "blue", "enum": ["blue", "red"]},
        "replicas": {"type": "integer"},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    },
}


def version(name: str = "v1", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "spec": SPEC,
                    "status": {
                        "type": "object",
                        "properties": {
                            "replicas": {"type": "integer"},
                            "selector": {"type": "string"},
                        },
                    },
                },
            }
        },
    } | changes


def definition(plural: str = "widgets", kind: str = "Widget", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": plural, "kind": kind},
            "scope": "Namespaced",
            "versions": [version()],
        }
        | spec,
    }


def widget(name: str = "w", api: str = "v1", **changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"example.com/{api}",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 2},
    } | changes


class CrdAsker(Asker):
    async def patch(self, path: str, body: Any, media: str) -> tuple[int, Any]:
        return await self("PATCH", path, body, {"content-type": f"application/{media}"})

    async def until(self, name: str, kind: str, status: str = "True") -> Any:
        """The definition, once a condition has a status."""
        while True:
            item = await self.must("GET", f"{CRDS}/{name}")
            found = {each["type"]: each for each in item["status"].get("conditions") or ()}
            if found.get(kind, {}).get("status") == status:
                return item
            await asyncio.sleep(0.001)

    async def install(self, given: dict[str, Any]) -> Any:
        await self.must("POST", CRDS, given)
        return await self.until(given["metadata"]["name"], "Established")

    async def gone(self, path: str) -> None:
        while (await self("GET", path))[0] != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def warned(self, method: str, path: str, body: Any) -> tuple[int, str]:
        """Status, and the warnings in the head of the answer."""
        path, _, query = path.partition("?")
        request = Request(method, path, query, {}, msgspec.json.encode(body), user=self.user)
        answer = await chain.handle(self.server, request)
        return answer.status, ", ".join(answer.warnings)


@asynccontextmanager
async def crd_api(*definitions: dict[str, Any]) -> AsyncIterator[CrdAsker]:
    async with control_plane.api_server(post_start_hooks=True) as server:
        ask = CrdAsker(server, ADMIN)
        for item in definitions:
            await ask.install(item)
        yield ask
