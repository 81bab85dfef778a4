"""A bearer token counts only as its configured issuer signed it: for us, for now, unchanged.

Tokens of OpenID Connect issuers (--oidc-*, AuthenticationConfiguration) and service-account tokens.
No token without a signature, none signed with what everybody knows, none for others, none before or
after its time; an issuer's redirect leads nowhere, and no token makes its keys be fetched without
end (upstream, apiserver plugin/pkg/authenticator/token/oidc; RFC 8725).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest

from tests.apiserver.authn import issuers
from trireme.apiserver.config import ServiceAccountKeys
from trireme.apiserver.settings.authentication import Authentication, AuthenticationConfiguration
from trireme.kit import pki
from trireme.kit.env import Env

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}


async def status(ask: Any, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    answered: int = (await ask.unknown()("POST", WHO, REVIEW, headers))[0]
    return answered


def trusting(issuer: issuers.Issuer, **more: Any) -> Authentication:
    return Authentication(configuration=AuthenticationConfiguration(jwt=(issuer.config(**more),)))


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], token: str, secret: bytes | None = None) -> str:
    """The claims of a token under another header, signed with a shared secret or with nothing."""
    signed = f"{encoded(header)}.{token.split('.')[1]}"
    signature = b"" if secret is None else hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def forged(issuer: issuers.Issuer) -> dict[str, str]:
    good, key = issuer.token(), issuer.keys[0]
    public = pki.public_key(key_pem(key))
    stranger = issuers.Key("one")
    own_key = {"alg": "RS256", "kid": "one", "jwk": stranger.jwk()}
    now = int(time.time())
    return {
        "none": by_hand({"alg": "none", "kid": "one"}, good),
        "None": by_hand({"alg": "None", "kid": "one"}, good),
        "no algorithm": by_hand({"kid": "one"}, good),
        "the public key as a secret": by_hand({"alg": "HS256", "kid": "one"}, good, public),
        "another's key": issuer.token(stranger),
        "another's key that it brings": jwt.encode(
            jwt.decode(good, options={"verify_signature": False}),
            stranger.private,
            algorithm="RS256",
            headers=own_key,
        ),
        "another algorithm": by_hand({"alg": "ES256", "kid": "one"}, good),
        "no signature": good.rpartition(".")[0] + ".",
        "changed": ".".join(
            [good.split(".")[0], issuer.token(sub="root").split(".")[1], good.split(".")[2]]
        ),
        "another audience": issuer.token(aud="others"),
        "another audience of several": issuer.token(aud=["others", "more"]),
        "no audience": issuer.token(aud=None),
        "an audience that is none": issuer.token(aud=[["trireme"]]),
        "another issuer": issuer.token(iss="https://others.test"),
        "nearly the issuer": issuer.token(iss=f"{issuer.url}/"),
        "ended": issuer.token(exp=now - 1),
        "without an end": issuer.token(exp=None),
        "an end that is none": issuer.token(exp="never"),
        "not yet": issuer.token(nbf=now + 400),
        "no user": issuer.token(sub=None),
        "a user that is none": issuer.token(sub=["jane"]),
        "two tokens": f"{good}.{good}",
        "half a token": good[: len(good) // 2],
        "a critical extension": jwt.encode(
            jwt.decode(good, options={"verify_signature": False}),
            key.private,
            algorithm="RS256",
            headers={"kid": "one", "crit": ["x"], "x": 1},
        ),
    }


def key_pem(key: issuers.Key) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    return bytes(key.private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))


async def test_of_an_issuer(asking: Any) -> None:
    async with issuers.issuer() as issuer, asking(Env(), authentication=trusting(issuer)) as ask:
        assert await status(ask, issuer.token()) == 201
        assert await status(ask, issuer.token(aud=["others", issuers.AUDIENCE])) == 201
        for name, token in forged(issuer).items():
            assert await status(ask, token) == 401, name
        assert await status(ask, issuer.token(sub="john")) == 201


async def test_of_service_accounts(asking: Any) -> None:
    key = pki.new_key()
    async with asking(Env(), service_accounts=ServiceAccountKeys(key)) as ask:
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        made = await ask.must("POST", path, {"kind": "TokenRequest", "spec": {}})
        good = made["status"]["token"]
        assert await status(ask, good) == 201
        header = jwt.get_unverified_header(good)
        public = pki.public_key(key)
        claims = jwt.decode(good, options={"verify_signature": False})

        def signed(**other: Any) -> str:
            found = {k: v for k, v in (claims | other).items() if v is not None}
            return jwt.encode(found, key, algorithm="ES256", headers={"kid": header["kid"]})

        now = int(time.time())
        bad = {
            "none": by_hand(header | {"alg": "none"}, good),
            "the public key as a secret": by_hand(header | {"alg": "HS256"}, good, public),
            "another algorithm": by_hand(header | {"alg": "RS256"}, good),
            "another audience": signed(aud=["others"]),
            "another issuer": signed(iss="https://others.test"),
            "ended": signed(exp=now - 120),
            "not yet": signed(nbf=now + 120),
            "made in the future": signed(iat=now + 120),
            "another's key": jwt.encode(
                claims, pki.new_key(), algorithm="ES256", headers={"kid": header["kid"]}
            ),
        }
        for name, token in bad.items():
            assert await status(ask, token) == 401, name


async def test_a_redirect_leads_nowhere(asking: Any) -> None:
    async with issuers.issuer() as issuer, issuers.issuer() as other:
        issuer.redirect = f"{other.url}/.well-known/openid-configuration"
        other.document = {"issuer": issuer.url}
        async with asking(Env(), authentication=trusting(issuer)) as ask:
            assert await status(ask, issuer.token(other.keys[0])) == 401
        assert other.fetched == {}


async def test_an_issuer_that_says_to_be_another_is_not_asked_for_keys(asking: Any) -> None:
    async with issuers.issuer() as issuer:
        issuer.document = {"issuer": "https://others.test"}
        async with asking(Env(), authentication=trusting(issuer)) as ask:
            assert await status(ask, issuer.token()) == 401
        assert "/keys" not in issuer.fetched


async def test_unknown_keys_are_not_looked_for_without_end(asking: Any) -> None:
    async with issuers.issuer() as issuer:
        async with asking(Env(), authentication=trusting(issuer)) as ask:
            stranger = issuers.Key("two")
            for _ in range(20):
                assert await status(ask, issuer.token(stranger)) == 401
        assert issuer.fetched["/keys"] <= 3


async def test_an_issuer_that_does_not_answer_is_not_asked_with_every_token(asking: Any) -> None:
    async with issuers.issuer() as issuer:
        issuer.document = {"jwks_uri": None}
        async with asking(Env(), authentication=trusting(issuer)) as ask:
            for _ in range(20):
                assert await status(ask, issuer.token()) == 401
        assert issuer.fetched == {"/.well-known/openid-configuration": 1}


@pytest.mark.parametrize("size", [2_000_000])
async def test_a_document_without_end_is_not_read(asking: Any, size: int) -> None:
    async with issuers.issuer() as issuer:
        issuer.document = {"more": "x" * size}
        async with asking(Env(), authentication=trusting(issuer)) as ask:
            assert await status(ask, issuer.token()) == 401
