"""An issuer of tokens on loopback: its discovery document and its keys, over TLS."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from trireme.apiserver.settings.authentication import (
    ClaimMappings,
    JWTAuthenticator,
    PrefixedClaimOrExpression,
)
from trireme.apiserver.settings.authentication import Issuer as IssuerConfig
from trireme.kit import pki, tls

NOW = 1_700_000_000.0
AUTHORITY = pki.new_authority("issuers", NOW, 100 * pki.YEAR)
SERVING = pki.issue(
    AUTHORITY, "issuer", NOW, names=["127.0.0.1"], server=True, lifetime=50 * pki.YEAR
)
AUDIENCE = "trireme"


class Key:
    """A signing key with its id."""

    def __init__(self, name: str, algorithm: str = "RS256") -> None:
        self.name = name
        self.algorithm = algorithm
        self.private: Any = (
            rsa.generate_private_key(65537, 2048)
            if algorithm[0] != "E"
            else ec.generate_private_key(ec.SECP256R1())
        )

    def jwk(self) -> dict[str, Any]:
        kind: Any = ECAlgorithm if self.algorithm[0] == "E" else RSAAlgorithm
        numbers = kind.to_jwk(self.private.public_key(), as_dict=True)
        return numbers | {"kid": self.name, "alg": self.algorithm, "use": "sig"}


class Issuer:
    """What it serves may be changed; ``fetched`` counts what was asked for, by path."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = [Key("one")]
        self.fetched: dict[str, int] = {}
        self.document: dict[str, Any] = {}
        self.redirect = ""
        # What is answered to other paths.
        self.texts: dict[str, str] = {}

    def config(self, **more: Any) -> JWTAuthenticator:
        """A configuration that trusts it."""
        issuer = IssuerConfig(
            url=self.url,
            audiences=(AUDIENCE,),
            certificateAuthority=AUTHORITY.certificate.decode(),
            **more.pop("issuer", {}),
        )
        mappings = more.pop("mappings", None) or ClaimMappings(
            username=PrefixedClaimOrExpression("sub", "oidc:"),
            groups=PrefixedClaimOrExpression("groups", "oidc:"),
        )
        return JWTAuthenticator(issuer=issuer, claimMappings=mappings, **more)

    def token(self, key: Key | None = None, **claims: Any) -> str:
        """A token that is good but for what is said; a claim that is None is left out."""
        key = key or self.keys[0]
        now = int(time.time())
        body = {"iss": self.url, "aud": AUDIENCE, "sub": "jane", "exp": now + 600} | claims
        body = {name: value for name, value in body.items() if value is not None}
        headers = {"kid": key.name}
        return jwt.encode(body, key.private, algorithm=key.algorithm, headers=headers)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        self.fetched[path] = self.fetched.get(path, 0) + 1
        if self.redirect:
            raise web.HTTPFound(self.redirect)
        if path in self.texts:
            return web.Response(text=self.texts[path])
        if path == "/keys":
            return web.json_response({"keys": [key.jwk() for key in self.keys]})
        if path == "/.well-known/openid-configuration":
            found = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.document
            return web.Response(text=json.dumps(found), content_type="application/json")
        raise web.HTTPNotFound


@asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    """One that runs."""
    made = Issuer()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server_context(SERVING, b""))
    await site.start()
    port = runner.addresses[0][1]
    made.url = f"https://127.0.0.1:{port}"
    try:
        yield made
    finally:
        await runner.cleanup()
