"""A signer of service-account tokens elsewhere: --service-account-signing-endpoint.

In: claims. Out: signed tokens; the keys by which they are checked, fetched as often as the signer
says. The socket is the operator's, and what answers there is checked: its header, its keys. Called
by ``keys`` and ``union``. Upstream: pkg/serviceaccount/externaljwt; KEP-740.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import grpc
import msgspec
from cryptography.hazmat.primitives import serialization
from grpc import aio

from trireme.apiserver.authn.contract import SignerError
from trireme.apiserver.authn.pb import externaljwt_pb2 as pb
from trireme.kit import jws
from trireme.kit.env import Env

_SERVICE: Final = "/v1.ExternalJWTSigner/"
# Seconds: of a call; until keys are fetched again after a failure, and after an unknown key.
TIMEOUT: Final = 60.0
FALLBACK: Final = 10.0
UNKNOWN: Final = 1.0
# What a token has to hold for, at least.
_SHORTEST: Final = 600
_LONGEST_ID: Final = 1024
_ALGORITHMS: Final = ("RS256", "ES256", "ES384", "ES512")


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: str = ""
    kid: str = ""
    typ: str = ""


class ExternalSigner:
    """Signs tokens and knows the keys; ``start`` before use, ``close`` when done. ``endpoint`` is
    the path of a socket, or ``@`` and the name of an abstract one."""

    def __init__(self, endpoint: str, env: Env) -> None:
        self._address = (
            f"unix-abstract:{endpoint[1:]}" if endpoint.startswith("@") else f"unix:{endpoint}"
        )
        self._env = env
        self._channel: aio.Channel | None = None
        # Those that others may not know are for tokens of earlier days.
        self.keys: dict[str, jws.Key] = {}
        self.unpublished: frozenset[str] = frozenset()
        # Seconds that a token holds at most.
        self.max_expiration = 0
        self._refresh_at = 0.0
        self._asked_at = float("-inf")

    async def start(self) -> None:
        """Fetch the keys; SignerError."""
        await self.fetch()
        metadata = await self._call("Metadata", pb.MetadataRequest(), pb.MetadataResponse)
        self.max_expiration = metadata.max_token_expiration_seconds
        if self.max_expiration < _SHORTEST:
            raise SignerError(
                f"max token life supported by external-jwt-signer ({self.max_expiration}s) is less "
                f"than acceptable (min {_SHORTEST}s)"
            )

    async def run(self) -> None:
        """Fetch the keys again when the signer said, until cancelled."""
        clock = self._env.clock
        while True:
            await clock.sleep(max(self._refresh_at - clock.monotonic(), UNKNOWN))
            try:
                await self.fetch()
            except SignerError as error:
                self._env.log.error("keys of service account tokens stay those before: %s", error)
                self._refresh_at = clock.monotonic() + FALLBACK

    async def look_for(self, key_id: str) -> bool:
        """Whether a key that was not known is there now."""
        now = self._env.clock.monotonic()
        if now - self._asked_at >= UNKNOWN:
            self._asked_at = now
            try:
                await self.fetch()
            except SignerError as error:
                self._env.log.error("keys of service account tokens: %s", error)
        return key_id in self.keys

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """A signed token; SignerError."""
        payload = _encoded(msgspec.json.encode(claims))
        req = pb.SignJWTRequest(claims=payload)
        answer = await self._call("Sign", req, pb.SignJWTResponse)
        await self._check(answer.header)
        if not answer.signature:
            raise SignerError("empty signature returned")
        return f"{answer.header}.{payload}.{answer.signature}"

    async def fetch(self) -> None:
        """Fetch the keys; SignerError, and those before stay."""
        answer = await self._call("FetchKeys", pb.FetchKeysRequest(), pb.FetchKeysResponse)
        if answer.refresh_hint_seconds <= 0:
            raise SignerError(f"found invalid refresh hint ({answer.refresh_hint_seconds}s)")
        if not answer.keys:
            raise SignerError("found no keys")
        keys = {}
        for item in answer.keys:
            if not 0 < len(item.key_id) <= _LONGEST_ID:
                raise SignerError(f'found invalid public key id "{item.key_id[:64]}"')
            try:
                public = serialization.load_der_public_key(item.key)
                keys[item.key_id] = jws.Key.known(item.key_id, public)
            except (ValueError, TypeError) as error:
                raise SignerError(f"while parsing external public keys: {error}") from None
        self.unpublished = frozenset(
            item.key_id for item in answer.keys if item.exclude_from_oidc_discovery
        )
        self.keys.clear()
        self.keys.update(keys)
        self._refresh_at = self._env.clock.monotonic() + answer.refresh_hint_seconds

    async def close(self) -> None:
        """Close what is open."""
        if self._channel is not None:
            await self._channel.close()

    async def _check(self, header: str) -> None:
        try:
            data = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
            found = msgspec.json.decode(data, type=_Header)
        except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise SignerError(f"while validating header: {error}") from None
        if found.typ != "JWT":
            raise SignerError("while validating header: bad type")
        if not 0 < len(found.kid) <= _LONGEST_ID:
            raise SignerError("while validating header: key id missing or longer than 1 kb")
        if found.alg not in _ALGORITHMS:
            raise SignerError(f'while validating header: bad signing algorithm "{found.alg[:16]}"')
        if found.kid not in self.keys:
            await self.look_for(found.kid)
        if found.kid in self.unpublished:
            raise SignerError(
                f"while validating header: key used for signing JWT (kid: {found.kid}) is excluded "
                "from OIDC discovery docs"
            )

    async def _call(self, method: str, req: Any, answer: Any) -> Any:
        if self._channel is None:
            self._channel = aio.insecure_channel(
                self._address,
                options=[
                    ("grpc.default_authority", "localhost"),
                    ("grpc.max_receive_message_length", 4 << 20),
                    ("grpc.enable_http_proxy", 0),
                ],
            )
        call = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=type(req).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            return await call(req, timeout=TIMEOUT)
        except (aio.AioRpcError, grpc.RpcError) as error:
            detail = error.details() if isinstance(error, aio.AioRpcError) else error
            raise SignerError(f"{method}: {detail}") from None


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
