"""The definitions that our types declare are upstream's, with its descriptions and without."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests import upstream_definitions
from trireme.apiserver import chain
from trireme.apiserver.openapi import schemas
from trireme.apiserver.request import Request, User
from trireme.testing import control_plane

ADMIN = User("admin", groups=("system:masters",))


# Another server's on upstream.
METRICS = {
    f"io.k8s.metrics.pkg.apis.metrics.v1beta1.{name}"
    for name in (
        "ContainerMetrics",
        "NodeMetrics",
        "NodeMetricsList",
        "PodMetrics",
        "PodMetricsList",
    )
}


@pytest.fixture
def no_descriptions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    files = importlib.resources.files

    def absent(package: str) -> Any:
        if package == "kubernetes_validate":
            raise ModuleNotFoundError(package)
        return files(package)

    monkeypatch.setattr(importlib.resources, "files", absent)
    schemas.load.cache_clear()
    yield
    schemas.load.cache_clear()


def test_every_definition_is_upstreams() -> None:
    ours, theirs = schemas.load(), upstream_definitions.load()
    assert ours.keys() - METRICS == theirs.keys()
    different = [name for name, schema in theirs.items() if ours[name] != schema]
    assert not different


def test_without_descriptions_all_else_is_the_same(no_descriptions: None) -> None:
    ours, theirs = schemas.load(), upstream_definitions.load()
    assert ours.keys() - METRICS == theirs.keys()
    different = [name for name, schema in theirs.items() if ours[name] != bare(schema)]
    assert not different


def bare(value: Any) -> Any:
    """A schema without its descriptions; ``allOf`` is for what stands beside a reference."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {
        key: bare(item)
        for key, item in value.items()
        if not (key == "description" and isinstance(item, str))
    }
    return found["allOf"][0] if found.keys() == {"allOf"} else found


async def test_documents_are_served_without_descriptions(no_descriptions: None) -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ships.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"kind": "Ship", "plural": "ships", "singular": "ship", "listKind": "Ships"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    async with control_plane.api_server() as server:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        body = msgspec.json.encode(definition)
        headers = {"content-type": "application/json"}
        made = await chain.handle(server, Request("POST", path, "", headers, body, user=ADMIN))
        assert made.status == 201, made.body
        index = await chain.handle(server, Request("GET", "/openapi/v3", "", {}, user=ADMIN))
        for entry in msgspec.json.decode(index.body)["paths"].values():
            path, _, query = entry["serverRelativeURL"].partition("?")
            answer = await chain.handle(server, Request("GET", path, query, {}, user=ADMIN))
            assert answer.status == 200
        whole = await chain.handle(server, Request("GET", "/openapi/v2", "", {}, user=ADMIN))
        pod = msgspec.json.decode(whole.body)["definitions"]["io.k8s.api.core.v1.Pod"]
        assert pod["properties"]["kind"] == {"type": "string"}
