"""What every kind promises, shown on a full manifest of each (``tests/data/manifests``).

Forms lose nothing, defaults settle at once, a status is apart, applying twice changes nothing, a
dry run leaves nothing behind, a table's rows fit its columns, every field label selects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import trireme.api
from tests.apiserver import parity
from tests.apiserver.test_reading import ADMIN, Api
from trireme.api.catalog import Catalog
from trireme.apiserver import chain
from trireme.apiserver.request import Request
from trireme.machinery.resource import Resource
from trireme.testing import control_plane

MANIFESTS = Path(__file__).parents[1] / "data" / "manifests"
KINDS = Catalog.of(trireme.api)
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = "application/yaml"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


def _manifests() -> Iterator[Any]:
    for path in sorted(MANIFESTS.glob("*.yaml")):
        text = path.read_text().replace("NAMESPACE", "default")
        for number, manifest in enumerate(yaml.safe_load_all(text)):
            group, _, version = manifest["apiVersion"].rpartition("/")
            resource = KINDS.by_kind[group, version, manifest["kind"]]
            yield pytest.param(resource, manifest, id=f"{path.stem}-{number}")


def _collection(resource: Resource) -> str:
    root = f"/apis/{resource.api_version}" if resource.group else "/api/v1"
    return (
        f"{root}/namespaces/default/{resource.plural}"
        if resource.namespaced
        else (f"{root}/{resource.plural}")
    )


class Kept:
    """One object in the server, asked for and written in any form."""

    def __init__(self, ask: Api, resource: Resource, name: str) -> None:
        self.ask = ask
        self.path = f"{_collection(resource)}/{name}"

    async def raw(self, method: str, media: str = "", body: bytes = b"", query: str = "") -> bytes:
        headers = {"content-type": media} if body else {"accept": media}
        path, _, below = self.path.partition("?")
        request = Request(method, path, query or below, headers, body, user=ADMIN)
        answer = await chain.handle(self.ask.server, request)
        assert answer.status < 300, bytes(answer.body)
        return bytes(answer.body)

    async def read(self) -> Any:
        return json.loads(await self.raw("GET"))

    async def version(self) -> str:
        return str((await self.read())["metadata"]["resourceVersion"])


@pytest.mark.parametrize(("resource", "manifest"), list(_manifests()))
async def test_promises(resource: Resource, manifest: dict[str, Any]) -> None:
    collection, name = _collection(resource), manifest["metadata"]["name"]
    settings: dict[str, Any] = (
        {} if resource.default_on and not resource.gate else parity.EVERYTHING
    )
    async with control_plane.api_server(**settings) as server:
        ask = Api(server)
        status, dry = await ask("POST", f"{collection}?dryRun=All", manifest)
        assert status == 201, dry
        assert (await ask("GET", f"{collection}/{name}"))[0] == 404
        status, made = await ask("POST", f"{collection}?fieldValidation=Strict", manifest)
        assert status == 201, made
        kept = Kept(ask, resource, name)
        await _forms_lose_nothing(kept)
        await _rows_fit(ask, collection, name)
        await _status_is_apart(ask, kept, resource)
        await _applied_twice(kept, manifest)
        await _labels_select(ask, kept, resource, collection, name)


async def _forms_lose_nothing(kept: Kept) -> None:
    """What is written back as it was read changes nothing: forms are whole, defaults settled."""
    before = await kept.version()
    for media in ("application/json", YAML, PROTOBUF):
        await kept.raw("PUT", media, await kept.raw("GET", media))
        assert await kept.version() == before, media


async def _rows_fit(ask: Api, collection: str, name: str) -> None:
    for path in (collection, f"{collection}/{name}"):
        _, table = await ask("GET", path, accept=TABLE)
        heads = table["columnDefinitions"]
        # Upstream's rows of addresses have a cell more than columns.
        spare = 1 if "/ipaddresses" in path else 0
        assert all(len(row["cells"]) == len(heads) + spare for row in table["rows"])
        assert any(row["object"]["metadata"]["name"] == name for row in table["rows"])


async def _status_is_apart(ask: Api, kept: Kept, resource: Resource) -> None:
    if not resource.has_status:
        return
    before = await kept.read()
    kept_parts = ("apiVersion", "kind", "metadata", "status")
    body = json.dumps({key: before[key] for key in kept_parts if key in before}).encode()
    path, kept.path = kept.path, f"{kept.path}/status"
    await kept.raw("PUT", "application/json", body)
    kept.path = path
    after = await kept.read()
    assert after.get("spec") == before.get("spec")
    await kept.raw("PATCH", MERGE, b'{"status":null}')
    assert (await kept.read()).get("status") == after.get("status")


async def _applied_twice(kept: Kept, manifest: dict[str, Any]) -> None:
    body, query = json.dumps(manifest).encode(), "fieldManager=contract&force=true"
    await kept.raw("PATCH", APPLY, body, query)
    before = await kept.version()
    await kept.raw("PATCH", APPLY, body, query)
    assert await kept.version() == before


async def _labels_select(
    ask: Api, kept: Kept, resource: Resource, collection: str, name: str
) -> None:
    stored = KINDS.by_kind[resource.group, resource.version, resource.kind]
    endpoint = ask.server.context.served.by_type[stored.type]
    obj = endpoint.decode(await kept.raw("GET"))
    expected = {"metadata.name": name} | {
        label: read(obj) for label, read in resource.selectable.items()
    }
    for label, value in expected.items():
        _, found = await ask("GET", f"{collection}?fieldSelector={label}={value}")
        assert name in [item["metadata"]["name"] for item in found["items"]], label
    status, refused = await ask("GET", f"{collection}?fieldSelector=spec.nonsense=1")
    assert (status, refused["reason"]) == (400, "BadRequest")


def test_every_kind_has_a_manifest() -> None:
    served = {param.values[0].group_kind for param in _manifests()}
    missing = {
        item.group_kind for item in KINDS.resources if "create" in item.verbs and item.default_on
    } - served
    # Asked and answered, never stored.
    assert missing == {
        "Binding",
        "LocalSubjectAccessReview.authorization.k8s.io",
        "SelfSubjectAccessReview.authorization.k8s.io",
        "SelfSubjectReview.authentication.k8s.io",
        "SelfSubjectRulesReview.authorization.k8s.io",
        "SubjectAccessReview.authorization.k8s.io",
        "TokenReview.authentication.k8s.io",
    }
