"""Tokens that a signer elsewhere signs, over its own protocol on a Unix socket."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from trireme.apiserver.authn.contract import SignerError
from trireme.apiserver.authn.external_signer import ExternalSigner
from trireme.apiserver.authn.pb import externaljwt_pb2 as pb
from trireme.apiserver.config import ServiceAccountKeys
from trireme.kit.env import Env

TOKEN = "/api/v1/namespaces/default/serviceaccounts/default/token"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}


class Signer:
    """What it says may be changed. ``keys``: private keys by their ids; ``old``: those that are
    not published; the first one signs."""

    def __init__(self) -> None:
        self.keys = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.old: set[str] = set()
        self.header: dict[str, Any] = {}
        self.longest = 7200
        self.hint = 3600
        self.fetched = 0

    async def Sign(self, req: pb.SignJWTRequest, _: Any) -> pb.SignJWTResponse:
        name, key = next(iter(self.keys.items()))
        header = {"alg": "ES256", "kid": name, "typ": "JWT"} | self.header
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        algorithm: Any = jwt.get_algorithm_by_name("ES256")
        signature = algorithm.sign(f"{head}.{req.claims}".encode(), key)
        text = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        return pb.SignJWTResponse(header=head, signature=text)

    async def FetchKeys(self, _req: pb.FetchKeysRequest, _: Any) -> pb.FetchKeysResponse:
        self.fetched += 1
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        keys = [
            pb.Key(
                key_id=name,
                key=key.public_key().public_bytes(serialization.Encoding.DER, form),
                exclude_from_oidc_discovery=name in self.old,
            )
            for name, key in self.keys.items()
        ]
        return pb.FetchKeysResponse(
            keys=keys, data_timestamp=Timestamp(seconds=1), refresh_hint_seconds=self.hint
        )

    async def Metadata(self, _req: pb.MetadataRequest, _: Any) -> pb.MetadataResponse:
        return pb.MetadataResponse(max_token_expiration_seconds=self.longest)


@asynccontextmanager
async def signer(tmp_path: Path) -> AsyncIterator[tuple[Signer, str]]:
    import grpc

    made, socket = Signer(), f"{tmp_path}/signer.sock"
    kinds: dict[str, tuple[Any, Any]] = {
        "Sign": (made.Sign, pb.SignJWTRequest),
        "FetchKeys": (made.FetchKeys, pb.FetchKeysRequest),
        "Metadata": (made.Metadata, pb.MetadataRequest),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=kind.FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        for name, (call, kind) in kinds.items()
    }
    server = aio.server()
    service = grpc.method_handlers_generic_handler("v1.ExternalJWTSigner", handlers)
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield made, socket
    finally:
        await server.stop(0)


async def who(ask: Any, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    status: int = (await ask.unknown()("POST", WHO, REVIEW, headers))[0]
    return status


async def test_it_signs_and_its_keys_are_accepted(
    asking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trireme.apiserver.authn.external_signer.UNKNOWN", 0.0)
    async with signer(tmp_path) as (made, socket):
        keys = ServiceAccountKeys(b"", signer=partial(ExternalSigner, socket))
        async with asking(Env(), service_accounts=keys) as ask:
            await ask.server.context.authenticator.start()
            spec = {"kind": "TokenRequest", "spec": {"expirationSeconds": 9000}}
            answer = await ask.must("POST", TOKEN, spec)
            token = answer["status"]["token"]
            assert jwt.get_unverified_header(token)["kid"] == "one"
            # No longer than the signer says.
            assert answer["spec"]["expirationSeconds"] == 7200
            assert await who(ask, token) == 201
            # Another key: found by the first token that it signs, those before it still count.
            made.keys = {"two": ec.generate_private_key(ec.SECP256R1()), **made.keys}
            made.old = {"one"}
            second = (await ask.must("POST", TOKEN, spec))["status"]["token"]
            assert jwt.get_unverified_header(second)["kid"] == "two"
            assert await who(ask, second) == await who(ask, token) == 201
            published = (await ask.must("GET", "/openid/v1/jwks"))["keys"]
            assert [key["kid"] for key in published] == ["two"]
            del made.keys["one"]
            await ask.server.context.authenticator.signer.fetch()
            ask.server.context.authenticator.tokens.remote = ()
            assert await who(ask, token) == 401


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ({"alg": "none"}, 'bad signing algorithm "none"'),
        ({"alg": "HS256"}, 'bad signing algorithm "HS256"'),
        ({"typ": ""}, "bad type"),
        ({"kid": ""}, "key id missing"),
        ({"kid": "x" * 2000}, "longer than 1 kb"),
        ({"jku": "https://x"}, "validating header"),
        ({"kid": "old"}, "is excluded from OIDC discovery docs"),
    ],
)
async def test_what_it_answers_is_checked(
    tmp_path: Path, header: dict[str, Any], problem: str
) -> None:
    async with signer(tmp_path) as (made, socket):
        made.keys["old"] = ec.generate_private_key(ec.SECP256R1())
        made.old, made.header = {"old"}, header
        client = ExternalSigner(socket, Env())
        await client.start()
        with pytest.raises(SignerError, match=problem):
            await client.sign({"sub": "a"})
        await client.close()


async def test_one_that_cannot_be_used_is_no_start(tmp_path: Path) -> None:
    async with signer(tmp_path) as (made, socket):
        client = ExternalSigner(socket, Env())
        made.longest = 60
        with pytest.raises(SignerError, match="is less than acceptable"):
            await client.start()
        made.hint = 0
        with pytest.raises(SignerError, match="invalid refresh hint"):
            await client.start()
        made.hint, made.keys = 60, {}
        with pytest.raises(SignerError, match="found no keys"):
            await client.start()
        await client.close()


def test_without_it_there_is_no_grpc() -> None:
    code = "import sys, trireme.apiserver.server; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
