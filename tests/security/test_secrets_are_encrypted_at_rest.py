"""What EncryptionConfiguration names is not on the disk in plain, and is read with its keys alone.

Upstream: https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.encryption.files import IDENTITY, file, keyed, rule
from tests.apiserver.test_reading import Api
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.encryption.run import Encryption
from trireme.apiserver.settings.encryption import EncryptionSettings
from trireme.cluster.commands._apiserver_encryption import make_kms
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.store.contract import Unreadable, Value
from trireme.store.sqlite import SqliteStore

KEY = "/registry/secrets/default/a"
SECRET = b"correct horse battery staple"
VALUE = Value(b'{"metadata":{"resourceVersion":"', b'"},"data":"%b"}' % SECRET)
FIRST, SECOND = keyed("aescbc", ("k1", 1)), keyed("aesgcm", ("k2", 2))


@asynccontextmanager
async def opened(
    folder: Path, *rules: Any, reload: bool = False
) -> AsyncIterator[tuple[SqliteStore, Encryption, Path]]:
    """The store of a server with these rules; without any, encryption is off."""
    path = folder / "encryption.json"
    path.write_bytes(file(*rules))
    store = SqliteStore(folder / "store.db")
    settings = EncryptionSettings(path.read_bytes if rules else None, reload, make_kms)
    config = ApiServerConfig(
        store=store, service_accounts=ServiceAccountKeys(pki.new_key()), encryption=settings
    )
    encryption = Encryption(config, Env())
    await encryption.start()
    async with store:
        yield store, encryption, path


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("store.db*"))


async def test_the_file_has_no_plain_text_and_a_restart_reads_it(tmp_path: Path):
    async with opened(tmp_path, rule(FIRST)) as (store, _, _):
        made = await store.create(KEY, VALUE)
        await store.update(KEY, VALUE)
        await store.delete(KEY, value=VALUE)
        last = await store.create(KEY, VALUE)
        await store.create("/registry/configmaps/default/a", Value(b'{"plain":"', b'"}'))
        assert SECRET in made.value
        assert SECRET not in on_disk(tmp_path)
        assert b"k8s:enc:aescbc:v1:k1:" in on_disk(tmp_path)
    assert SECRET not in on_disk(tmp_path)
    async with opened(tmp_path, rule(FIRST)) as (store, _, _):
        assert store.get(KEY) == last
        events = store.watch("/registry/secrets/", 1).take()
        assert len(events) == 4 and all(SECRET in event.value for event in events)


async def test_without_the_key_it_is_refused_and_the_rest_is_served(tmp_path: Path):
    async with opened(tmp_path, rule(FIRST)) as (store, _, _):
        await store.create(KEY, VALUE)
        await store.create("/registry/configmaps/default/a", Value(b'{"plain":"', b'"}'))
    for rules in ((), (rule(SECOND),), (rule(keyed("aescbc", ("k1", 9)), IDENTITY),)):
        async with opened(tmp_path, *rules) as (store, _, _):
            with pytest.raises(Unreadable):
                store.get(KEY)
            with pytest.raises(Unreadable):
                store.list("/registry/secrets/")
            assert store.get("/registry/configmaps/default/a") is not None


async def test_keys_are_rotated_and_reloaded_while_it_runs(tmp_path: Path):
    async with opened(tmp_path, rule(FIRST)) as (store, _, _):
        first = await store.create(KEY, VALUE)
    async with opened(tmp_path, rule(SECOND), reload=True) as (store, encryption, path):
        with pytest.raises(Unreadable):
            store.get(KEY)
        path.unlink()
        await encryption._look()
        path.write_bytes(b"rubbish")
        await encryption._look()
        with pytest.raises(Unreadable):
            store.get(KEY)
        path.write_bytes(file(rule(SECOND, FIRST)))
        await encryption._look()
        assert store.get(KEY) == first
        assert store.stale(KEY)
        await store.update(KEY, VALUE)
        assert not store.stale(KEY)
        await store.compact(store.revision)
    async with opened(tmp_path, rule(SECOND)) as (store, _, _):
        assert SECRET in store.get(KEY).value


async def test_an_update_that_changes_nothing_encrypts_anew(monkeypatch: pytest.MonkeyPatch):
    """By the API: so that objects are rewritten after a rotation by replacing them."""
    from trireme.testing import control_plane

    path = "/api/v1/namespaces/default/secrets"
    body = {"metadata": {"name": "a"}, "stringData": {"a": SECRET.decode()}}
    async with control_plane.api_server() as server:
        ask, store = Api(server), server.context.store
        _, made = await ask("POST", path, body)
        _, same = await ask("PUT", f"{path}/a", made)
        assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        monkeypatch.setattr(store, "stale", lambda key: key.endswith("/a"))
        _, anew = await ask("PUT", f"{path}/a", made)
        assert anew["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
