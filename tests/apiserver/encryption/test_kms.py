"""KMS v2: a plugin on a socket encrypts seeds; values never reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from tests.apiserver.encryption.files import file, rule
from trireme.apiserver.encryption import configuration
from trireme.apiserver.encryption.pb import kms_pb2 as pb
from trireme.apiserver.encryption.providers.aesgcm import AesGcm
from trireme.apiserver.encryption.providers.kms import WRITES_FOR, Kms
from trireme.apiserver.encryption.transformers import Transformers
from trireme.apiserver.storage.layout import Layout
from trireme.store.contract import StoreUnavailable, Unreadable

KEY = "/registry/secrets/default/a"
PLAIN = b'{"kind":"Secret"}'


class Plugin:
    """A plugin that turns bits around by its key's number."""

    def __init__(self) -> None:
        self.key, self.health, self.version, self.annotations = 1, "ok", "v2", {"a.example": b"x"}
        self.calls: list[str] = []
        self.plain: list[bytes] = []

    def _turned(self, data: bytes, key: int) -> bytes:
        return bytes(byte ^ key for byte in data)

    async def status(self, _request: Any, _context: Any) -> pb.StatusResponse:
        return pb.StatusResponse(version=self.version, healthz=self.health, key_id=str(self.key))

    async def encrypt(self, request: pb.EncryptRequest, _context: Any) -> pb.EncryptResponse:
        self.calls.append("encrypt")
        self.plain.append(request.plaintext)
        answer = pb.EncryptResponse(
            ciphertext=self._turned(request.plaintext, self.key), key_id=str(self.key)
        )
        answer.annotations.update(self.annotations)
        return answer

    async def decrypt(self, request: pb.DecryptRequest, context: Any) -> pb.DecryptResponse:
        self.calls.append("decrypt")
        if request.annotations.get("a.example") != b"x":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no annotations")
        return pb.DecryptResponse(plaintext=self._turned(request.ciphertext, int(request.key_id)))

    @asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        def handler(call: Any, request: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                call, request.FromString, lambda answer: answer.SerializeToString()
            )

        server = aio.server()
        methods = {
            "Status": handler(self.status, pb.StatusRequest),
            "Encrypt": handler(self.encrypt, pb.EncryptRequest),
            "Decrypt": handler(self.decrypt, pb.DecryptRequest),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v2.KeyManagementService", methods),)
        )
        server.add_insecure_port(f"unix://{path}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(None)


class Clock:
    now = 1000.0


@asynccontextmanager
async def using(path: Path, clock: type[Clock] = Clock) -> AsyncIterator[tuple[Transformers, Kms]]:
    kms: list[Kms] = []

    def make(name: str, endpoint: str, timeout: float) -> Kms:
        kms.append(Kms(name, endpoint, timeout, lambda: clock.now, lambda: "uid"))
        return kms[-1]

    there = Transformers(Layout(["secrets"]))
    given = {"apiVersion": "v2", "name": "vault", "endpoint": f"unix://{path}", "timeout": "2s"}
    there.put(configuration.decode(file(rule({"kms": given}))), make)
    await kms[0].check()
    try:
        yield there, kms[0]
    finally:
        await kms[0].close()


async def test_values_are_sealed_by_a_seed_that_the_plugin_has_encrypted(tmp_path: Path):
    plugin, path = Plugin(), tmp_path / "kms.sock"
    async with plugin.serving(path):
        async with using(path) as (there, kms):
            assert kms.problem == ""
            stored = [there.to_storage(KEY, PLAIN) for _ in range(3)]
            assert there.from_storage(KEY, stored[0]) == PLAIN
            assert plugin.calls == ["encrypt"], "once for all values"
        assert len(set(stored)) == 3
        assert all(item.startswith(b"k8s:enc:kms:v2:vault:") for item in stored)
        obj = pb.EncryptedObject.FromString(stored[0].removeprefix(b"k8s:enc:kms:v2:vault:"))
        assert (obj.key_id, obj.source_type) == ("1", 1)
        assert len(obj.encrypted_data) == 32 + 12 + len(PLAIN) + 16
        # Another server, or this one after a restart.
        async with using(path) as (there, _):
            with pytest.raises(Unreadable, match="failed to decrypt DEK"):
                there.from_storage(KEY, stored[0])
            assert there.asks
            await there.prepare([(KEY, item) for item in stored])
            assert [there.from_storage(KEY, item) for item in stored] == [PLAIN] * 3
            assert plugin.calls.count("decrypt") == 1, "once for a seed"
            assert not there.stale(KEY)
            with pytest.raises(Unreadable, match="authentication failed"):
                there.from_storage("/registry/secrets/default/b", stored[0])


async def test_a_new_key_of_the_plugin_makes_values_stale(tmp_path: Path):
    plugin, path = Plugin(), tmp_path / "kms.sock"
    async with plugin.serving(path), using(path) as (there, kms):
        old = there.to_storage(KEY, PLAIN)
        plugin.key = 2
        await kms.check()
        assert there.from_storage(KEY, old) == PLAIN and there.stale(KEY)
        new = there.to_storage(KEY, PLAIN)
        assert there.from_storage(KEY, new) == PLAIN and not there.stale(KEY)
        assert len(set(plugin.plain)) == 2


async def test_a_plugin_that_is_gone_lets_write_for_three_minutes(tmp_path: Path):
    class Time(Clock):
        now = 5.0

    plugin, path = Plugin(), tmp_path / "kms.sock"
    async with plugin.serving(path), using(path, Time) as (there, kms):
        plugin.health = "vault is sealed"
        await kms.check()
        assert "got unexpected healthz status: vault is sealed" in kms.problem
        Time.now += WRITES_FOR + 1
        with pytest.raises(StoreUnavailable, match="expired"):
            there.to_storage(KEY, PLAIN)
        plugin.health = "ok"
        await kms.check()
        assert kms.problem == "" and there.to_storage(KEY, PLAIN)


async def test_one_that_is_not_there_is_said_to_be_so(tmp_path: Path):
    async with using(tmp_path / "none.sock") as (there, kms):
        assert "failed to perform status section of the healthz check" in kms.problem
        with pytest.raises(StoreUnavailable):
            there.to_storage(KEY, PLAIN)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "v1"}, "expected KMSv2 API version v2, got v1"),
        ({"annotations": {"nodot": b""}}, "failed to validate annotations"),
        ({"annotations": {"a.example": b"x" * 40_000}}, "annotations"),
    ],
)
async def test_what_a_plugin_may_not_answer(tmp_path: Path, change: dict[str, Any], why: str):
    plugin, path = Plugin(), tmp_path / "kms.sock"
    for name, value in change.items():
        setattr(plugin, name, value)
    async with plugin.serving(path), using(path) as (_, kms):
        assert why in kms.problem


async def test_a_data_key_of_before_is_read(tmp_path: Path):
    """Upstream wrote with one AES-GCM key for all values, before it derived one for each."""
    plugin, path = Plugin(), tmp_path / "kms.sock"
    async with plugin.serving(path), using(path) as (there, _):
        key = b"k" * 32
        obj = pb.EncryptedObject(
            encrypted_data=AesGcm(key).seal(PLAIN, KEY.encode()),
            key_id="1",
            encrypted_source=bytes(byte ^ 1 for byte in key),
        )
        obj.annotations["a.example"] = b"x"
        stored = b"k8s:enc:kms:v2:vault:" + obj.SerializeToString()
        await there.prepare([(KEY, stored)])
        assert there.from_storage(KEY, stored) == PLAIN
        assert there.stale(KEY)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x0a\x01x", b"\x0a\x01x\x12\x01k"])
async def test_rubbish_is_unreadable(tmp_path: Path, data: bytes):
    async with using(tmp_path / "none.sock") as (there, _):
        await there.prepare([(KEY, b"k8s:enc:kms:v2:vault:" + data)])
        with pytest.raises(Unreadable):
            there.from_storage(KEY, b"k8s:enc:kms:v2:vault:" + data)
