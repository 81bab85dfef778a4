"""kms, version 2: a seed that the plugin has encrypted, and a key derived from it for each value.

In: the plugin's socket. Out: values with the encrypted seed beside them. The plugin is called when
the seed changes, once for each seed that others wrote, and to ask for its state: never for a write.
A seed writes for three minutes after the plugin was last well. Upstream: apiserver
``storage/value/encrypt/envelope/kmsv2``, KEP-3299.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from google.protobuf.message import DecodeError
from grpc import aio

from trireme.apiserver.encryption.pb import kms_pb2 as pb
from trireme.apiserver.encryption.providers.aesgcm import AesGcm
from trireme.apiserver.encryption.providers.contract import SHORT, TransformError

PREFIX = b"k8s:enc:kms:v2:"
# Seconds: how long a seed writes without news of the plugin, and between looks at it.
WRITES_FOR = 180.0
WELL, UNWELL = 60.0, 10.0
_SEED = 32
_KEY_ID_MOST = _SOURCE_MOST = 1024
_ANNOTATIONS_MOST = 32 * 1024
# Seeds whose plaintext is kept.
_KEPT = 10_000
_SERVICE = "/v2.KeyManagementService/"


class Seed:
    """AES-GCM with a key of its own for each value."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def seal(self, data: bytes, context: bytes) -> bytes:
        info = os.urandom(_SEED)
        return info + self._cipher(info).seal(data, context)

    def open(self, data: bytes, context: bytes) -> bytes:
        if len(data) < _SEED:
            raise TransformError(SHORT)
        return self._cipher(data[:_SEED]).open(data[_SEED:], context)

    def _cipher(self, info: bytes) -> AesGcm:
        return AesGcm(HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(self._seed))


@dataclass(frozen=True)
class _State:
    """What writes now."""

    seed: Seed
    source: pb.EncryptedObject
    until: float


class Kms:
    """``now``: seconds of a clock that only goes on; ``timeout``: of each call."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        timeout: float,
        now: Callable[[], float],
        uid: Callable[[], str],
    ) -> None:
        self.name = name
        self.prefix = PREFIX + name.encode() + b":"
        self.problem = f"kmsv2 Provider {name} is not healthy, error: it was not asked yet"
        self._endpoint, self._timeout = endpoint, timeout
        self._now, self._uid = now, uid
        self._state: _State | None = None
        self._seeds: dict[bytes, Seed | AesGcm | str] = {}
        self._channel: aio.Channel | None = None

    def to_storage(self, data: bytes, context: bytes) -> bytes:
        state = self._state
        if state is None:
            raise TransformError("got unexpected nil transformer")
        if self._now() > state.until:
            raise TransformError(
                f"encryptedDEKSource of KMS provider {self.name} has expired: {self.problem}"
            )
        stored = pb.EncryptedObject()
        stored.CopyFrom(state.source)
        stored.encrypted_data = state.seed.seal(data, context)
        return stored.SerializeToString()

    def from_storage(self, data: bytes, context: bytes) -> bytes:
        stored = _parsed(data)
        seed = self._seeds.get(_identity(stored))
        if seed is None or isinstance(seed, str):
            raise TransformError(seed or "failed to decrypt DEK, error: it was not asked for")
        return seed.open(stored.encrypted_data, context)

    def token(self, data: bytes) -> object:
        try:
            stored = _parsed(data)
        except TransformError:
            return None
        return stored.key_id, stored.source_type

    @property
    def pause(self) -> float:
        """Seconds until the plugin is looked at again."""
        return UNWELL if self.problem else WELL

    def current(self) -> object:
        source = None if self._state is None else self._state.source
        return None if source is None else (source.key_id, source.source_type)

    def is_unknown(self, data: bytes) -> bool:
        """Whether the plugin has to be asked for the seed of what is stored."""
        try:
            known = self._seeds.get(_identity(_parsed(data)))
        except TransformError:
            return False
        return known is None or isinstance(known, str)

    async def learn(self, data: bytes) -> None:
        """Have the plugin decrypt the seed of what is stored; ``from_storage`` has the error."""
        stored = _parsed(data)
        request = pb.DecryptRequest(
            ciphertext=stored.encrypted_source, uid=self._uid(), key_id=stored.key_id
        )
        request.annotations.update(stored.annotations)
        identity = _identity(stored)
        try:
            plain = (await self._call("Decrypt", request, pb.DecryptResponse)).plaintext
            found = (
                AesGcm(plain)
                if stored.source_type == pb.EncryptedObject.AES_GCM_KEY
                else Seed(plain)
            )
            if len(plain) < _SEED and isinstance(found, Seed):
                raise ValueError(f"invalid seed length {len(plain)} used for key generation")
        except (TransformError, ValueError) as error:
            self._keep(identity, f"failed to decrypt DEK, error: {error}")
            return
        self._keep(identity, found)

    async def check(self) -> None:
        """Ask the plugin how it is, and take another seed when its key is another one.
        ``problem`` is "" then, or says what is wrong."""
        until = self._now() + WRITES_FOR
        problems: list[str] = []
        try:
            status = await self._call("Status", pb.StatusRequest(), pb.StatusResponse)
        except TransformError as error:
            self.problem = (
                f"failed to perform status section of the healthz check for KMS Provider "
                f"{self.name}, error: {error}"
            )
            return
        if status.healthz != "ok":
            problems.append(f"got unexpected healthz status: {status.healthz}")
        if status.version not in ("v2", "v2beta1"):
            problems.append(f"expected KMSv2 API version v2, got {status.version}")
        if not status.key_id or len(status.key_id) > _KEY_ID_MOST:
            problems.append("got invalid KMSv2 KeyID")
        else:
            try:
                await self._rotate(status.key_id, until)
            except TransformError as error:
                problems.append(f"failed to rotate DEK: {error}")
        text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        self.problem = (
            f"kmsv2 Provider {self.name} is not healthy, error: {text}" if problems else ""
        )

    async def _rotate(self, key_id: str, until: float) -> None:
        state = self._state
        if state is not None and state.source.key_id == key_id:
            self._state = replace(state, until=until)
            return
        plain = os.urandom(_SEED)
        request = pb.EncryptRequest(plaintext=plain, uid=self._uid())
        answer = await self._call("Encrypt", request, pb.EncryptResponse)
        source = pb.EncryptedObject(
            key_id=answer.key_id,
            encrypted_source=answer.ciphertext,
            source_type=pb.EncryptedObject.HKDF_SHA256_XNONCE_AES_GCM_SEED,
        )
        source.annotations.update(answer.annotations)
        _check(source)
        if answer.key_id != key_id:
            raise TransformError("the key of Encrypt is another one than that of Status")
        seed = Seed(plain)
        self._keep(_identity(source), seed)
        self._state = _State(seed, source, until)

    def _keep(self, identity: bytes, seed: Seed | AesGcm | str) -> None:
        while len(self._seeds) >= _KEPT:
            del self._seeds[next(iter(self._seeds))]
        self._seeds[identity] = seed

    async def _call(self, method: str, request: Any, answer: Any) -> Any:
        if self._channel is None:
            # Only the socket that the operator names is dialled.
            self._channel = aio.insecure_channel(
                self._endpoint,
                options=[
                    ("grpc.default_authority", "localhost"),
                    ("grpc.max_receive_message_length", 4 << 20),
                    ("grpc.initial_reconnect_backoff_ms", 100),
                    ("grpc.max_reconnect_backoff_ms", 1000),
                    ("grpc.enable_http_proxy", 0),
                ],
            )
        call = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            return await call(request, timeout=self._timeout)
        except aio.AioRpcError as error:
            raise TransformError(
                f"rpc error: code = {_GO[error.code()]} desc = {error.details()}"
            ) from None

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()


# Go's names of the codes.
_GO = {
    code: "".join(word.capitalize() for word in code.name.split("_")) for code in grpc.StatusCode
}


def _parsed(data: bytes) -> pb.EncryptedObject:
    stored = pb.EncryptedObject()
    try:
        stored.ParseFromString(data)
    except DecodeError as error:
        raise TransformError(f"proto: cannot parse the encrypted object: {error}") from None
    if not stored.encrypted_data:
        raise TransformError("encrypted data is empty")
    _check(stored)
    return stored


def _check(stored: pb.EncryptedObject) -> None:
    if not 0 < len(stored.encrypted_source) <= _SOURCE_MOST:
        raise TransformError("failed to validate encrypted DEK source: its length is not allowed")
    if not 0 < len(stored.key_id) <= _KEY_ID_MOST:
        raise TransformError("failed to validate key id: its length is not allowed")
    size = sum(len(key) + len(value) for key, value in stored.annotations.items())
    if size > _ANNOTATIONS_MOST:
        raise TransformError("failed to validate annotations: they are too long")
    if any("." not in key for key in stored.annotations):
        raise TransformError("failed to validate annotations: should be a domain with a dot")


def _identity(stored: pb.EncryptedObject) -> bytes:
    """By what a decrypted seed is found."""
    seed = pb.EncryptedObject()
    seed.CopyFrom(stored)
    seed.ClearField("encrypted_data")
    return seed.SerializeToString(deterministic=True)
