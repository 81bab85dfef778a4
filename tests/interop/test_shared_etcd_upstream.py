"""One etcd, upstream's API server and ours in turn: what one wrote, the other serves.

Needs the folder of upstream's ``kube-apiserver`` in UPSTREAM_BINARIES. An object of every kind is
created by one server and read by the other, there and back: a cluster moves by starting the other
API server on its etcd.
"""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import trireme.api
from tests.apiserver.encryption.files import IDENTITY, file, keyed, rule
from tests.etcd import Etcd
from tests.interop import conftest
from trireme.api.catalog import Catalog

pytestmark = pytest.mark.interop

MANIFESTS = Path(__file__).parents[1] / "data" / "manifests"
KINDS = Catalog.of(trireme.api)


class Server:
    """Requests as the administrator."""

    def __init__(self, subject: Any, token: str) -> None:
        self._subject, self._token = subject, token
        self._context: ssl.SSLContext = subject.context()

    def __call__(self, method: str, path: str, body: Any = None, media: str = "") -> Any:
        request = urllib.request.Request(
            self._subject.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": media or "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read()
            return json.loads(text) if text.startswith(b"{") else {"kind": "Status"}


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """The collection's path and the object, of every kind."""
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text().replace("NAMESPACE", "default")):
            group, _, version = manifest["apiVersion"].rpartition("/")
            resource = KINDS.by_kind[group, version, manifest["kind"]]
            root = f"/apis/{resource.api_version}" if resource.group else "/api/v1"
            inner = "/namespaces/default" if resource.namespaced else ""
            yield f"{root}{inner}/{resource.plural}", manifest


def filled(server: Server) -> dict[str, Any]:
    """Create an object of every kind and a custom one; the paths of what was created."""
    made: dict[str, Any] = {}
    for collection, manifest in manifests():
        answer = server("POST", collection, manifest)
        if answer["kind"] == "Status":
            print(collection, answer.get("message"))
        else:
            made[f"{collection}/{answer['metadata']['name']}"] = answer
    boats = "/apis/example.com/v1/namespaces/default/boats"
    boat = {
        "apiVersion": "example.com/v1",
        "kind": "Boat",
        "metadata": {"name": "argo", "labels": {"resourceVersion": ""}},
        "spec": {"oars": 50},
    }
    deadline = time.monotonic() + 20
    while (answer := server("POST", boats, boat))["kind"] == "Status":
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    made[f"{boats}/argo"] = answer
    return made


def read(server: Server, paths: Any) -> dict[str, Any]:
    return {path: server("GET", path) for path in paths}


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """What is not the same. A role's empty list of rules is null in upstream's answers, [] in ours;
    it is written either way."""
    found = {}
    for path, obj in theirs.items():
        pair = obj, ours[path]
        if [item | {"rules": item.get("rules") or []} for item in pair[:1]] != [
            item | {"rules": item.get("rules") or []} for item in pair[1:]
        ]:
            found[path] = pair
    return found


@pytest.fixture
def binaries() -> Path:
    folder = os.environ.get("UPSTREAM_BINARIES", "")
    if not folder:
        pytest.skip("UPSTREAM_BINARIES names no folder")
    return Path(folder)


def test_a_cluster_moves_to_our_api_server_and_back(binaries: Path):
    subjects: Any = conftest._subjects()
    with Etcd() as etcd:
        url = etcd.urls[0]
        started = subjects.upstream(binaries, "--runtime-config=api/all=true", etcd=url)
        with started as subject:
            server = Server(subject, subjects.TOKEN)
            made = filled(server)
            theirs = read(server, made)
        assert len(made) > 60
        with subjects.trireme(f"etcd-servers={url}", "runtime-config=api/all=true") as subject:
            server = Server(subject, subjects.TOKEN)
            assert differing(read(server, made), theirs) == {}
            for path in made:
                patch = {"metadata": {"annotations": {"example.com/moved": "1"}}}
                server("PATCH", path, patch, "application/merge-patch+json")
            more = server(
                "POST",
                "/api/v1/namespaces/default/configmaps",
                {"metadata": {"name": "by-ours"}, "data": {"a": "b"}},
            )
            assert more["kind"] == "ConfigMap"
            ours = read(server, [*made, "/api/v1/namespaces/default/configmaps/by-ours"])
        with subjects.upstream(binaries, "--runtime-config=api/all=true", etcd=url) as subject:
            server = Server(subject, subjects.TOKEN)
            assert differing(read(server, ours), ours) == {}


CBC, GCM = keyed("aescbc", ("k1", 1)), keyed("aesgcm", ("k2", 2))
BOX = keyed("secretbox", ("k3", 3))


@pytest.mark.parametrize("first", [CBC, GCM, BOX], ids=["aescbc", "aesgcm", "secretbox"])
def test_encrypted_values_are_read_by_either(binaries: Path, tmp_path: Path, first: Any):
    subjects: Any = conftest._subjects()
    path = tmp_path / "encryption.json"
    path.write_bytes(file(rule(first, IDENTITY)))
    secrets = "/api/v1/namespaces/default/secrets"

    def secret(name: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "stringData": {"a": "b"}}

    with Etcd() as etcd:
        url = etcd.urls[0]

        def theirs() -> Any:
            return subjects.upstream(binaries, f"--encryption-provider-config={path}", etcd=url)

        with theirs() as subject:
            made = Server(subject, subjects.TOKEN)("POST", secrets, secret("theirs"))
        with subjects.trireme(
            f"etcd-servers={url}", f"encryption-provider-config={path}"
        ) as subject:
            server = Server(subject, subjects.TOKEN)
            assert server("GET", f"{secrets}/theirs") == made
            made = server("POST", secrets, secret("ours"))
        with theirs() as subject:
            assert Server(subject, subjects.TOKEN)("GET", f"{secrets}/ours") == made
