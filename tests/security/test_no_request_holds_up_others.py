"""No request holds up others for long: what takes long is answered by a process of its own.

The event loop serves everybody. Held here: which requests, as they come over the wire, are taken
off it. By sizes alone: ``tests/apiserver/forked``; in milliseconds: ``bench/fairness.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.apiserver import wire
from tests.apiserver.wire import MAPS, Site
from trireme.apiserver.connections import Limits
from trireme.machinery.codec import yaml

KEYS = 20_000
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
LABEL = b'{"metadata":{"labels":{"a":"b"}}}'


def config_map(name: str, keys: int, width: int = 10) -> dict[str, Any]:
    data = {f"key-{number:05}": "x" * width for number in range(keys)}
    made: dict[str, Any] = json.loads(wire.config_map(name, data=data))
    return made


LARGE, HUGE = config_map("new", KEYS), config_map("new", KEYS, 100)
SMALL = config_map("new", 100)


@pytest.fixture
async def site(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    """One ConfigMap with many keys, and many that are small."""
    limits = Limits(farewell=5.0)
    async with wire.served(caplog, limits, forks=2) as made:
        stored = json.dumps(config_map("z-large", KEYS)).encode()
        assert (await made.ask("POST", MAPS, stored))[0] == 201
        for number in range(400):
            body = wire.config_map(f"small-{number}", data={"k": "v" * 500})
            assert (await made.ask("POST", MAPS, body))[0] == 201
        yield made


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were forked."""
    pids: list[int] = []
    fork = os.fork

    def counted() -> int:
        pid = fork()
        pids.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", counted)
    return pids


def as_yaml(obj: Any) -> bytes:
    return yaml.dump(obj).encode()


def as_json(obj: Any) -> bytes:
    return json.dumps(obj).encode()


async def test_what_takes_long(site: Site, forks: list[int]) -> None:
    custom = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for method, path, body, media, more, code in (
        ("POST", MAPS, as_json(LARGE), "application/json", {}, 201),
        ("POST", MAPS, as_json(HUGE), "application/json", {}, 422),
        ("POST", MAPS, as_yaml(HUGE), "application/yaml", {}, 422),
        ("POST", f"{MAPS}?dryRun=All", as_yaml(config_map("dry", 1000)), "application/yaml", {},
         201),
        ("POST", custom, b"{" * 3_000_000, "application/json", {}, 400),
        ("PATCH", f"{MAPS}/z-large", LABEL, MERGE, {}, 200),
        ("PATCH", f"{MAPS}/z-large", LABEL, "application/strategic-merge-patch+json", {}, 200),
        ("PATCH", f"{MAPS}/z-large?fieldManager=a", b'{"apiVersion":"v1","kind":"ConfigMap",'
         b'"metadata":{"name":"z-large","labels":{"a":"b"}}}', APPLY, {}, 200),
        ("PATCH", f"{MAPS}/applied?fieldManager=a", as_yaml(config_map("applied", KEYS)), APPLY,
         {}, 201),
        ("GET", MAPS, None, "", {"Accept": TABLE}, 200),
        ("GET", MAPS, None, "", {"Accept": "application/yaml"}, 200),
        ("GET", f"{MAPS}/z-large", None, "", {"Accept": "application/yaml"}, 200),
        ("DELETE", f"{MAPS}/z-large", None, "", {}, 200),
    ):  # fmt: skip
        before = len(forks)
        status, answer = await site.ask(method, path, body, media=media, **more)
        assert status == code, (method, path, media, str(answer)[:500])
        assert len(forks) == before + 1, (method, path, media)


async def test_what_users_do_all_day(site: Site, forks: list[int]) -> None:
    for method, path, body, media, more, code in (
        ("POST", MAPS, as_json(SMALL), "application/json", {}, 201),
        ("POST", MAPS, as_yaml(config_map("yaml", 100)), "application/yaml", {}, 201),
        ("PATCH", f"{MAPS}/new", LABEL, MERGE, {}, 200),
        ("PATCH", f"{MAPS}/new?fieldManager=a&force=true", as_json(SMALL), APPLY, {}, 200),
        ("GET", MAPS, None, "", {}, 200),
        ("GET", f"{MAPS}?limit=100", None, "", {"Accept": TABLE}, 200),
        ("GET", MAPS, None, "", {"Accept": PROTOBUF}, 200),
        ("GET", f"{MAPS}/z-large", None, "", {}, 200),
        ("GET", f"{MAPS}/new", None, "", {"Accept": TABLE}, 200),
        ("GET", f"{MAPS}?labelSelector=a%3Db", None, "", {}, 200),
        ("DELETE", f"{MAPS}/new", None, "", {}, 200),
        ("GET", "/openapi/v2", None, "", {}, 200),
    ):
        status, _ = await site.ask(method, path, body, media=media, **more)
        assert status == code, (method, path, media)
        assert forks == [], (method, path, media)
