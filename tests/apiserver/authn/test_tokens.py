"""Service-account tokens: who gets which, how long it holds, and what ends it before."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from trireme.apiserver.authn.contract import Rejected
from trireme.apiserver.authn.keys import TokenKeys
from trireme.apiserver.config import ServiceAccountKeys
from trireme.kit import pki
from trireme.kit.clock import VIRTUAL_EPOCH
from trireme.kit.env import Env
from trireme.testing import virtual

NS = "/api/v1/namespaces/default"
ISSUER = "https://kubernetes.default.svc.cluster.local"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
YEAR = 365 * 24 * 3600


def request(**spec: Any) -> dict[str, Any]:
    return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}


async def token(ask: Any, account: str = "default", **spec: Any) -> str:
    answer = await ask.must("POST", f"{NS}/serviceaccounts/{account}/token", request(**spec))
    found: str = answer["status"]["token"]
    return found


async def user_of(ask: Any, text: str) -> tuple[int, Any]:
    review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    headers = {"authorization": f"Bearer {text}"}
    status, answer = await ask.unknown()("POST", WHO, review, headers)
    return status, answer["status"]["userInfo"] if status == 201 else answer


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    whole = {"containers": [{"name": "c", "image": "i"}]} | spec
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": whole}


def bound_to(kind: str, name: str, uid: str = "") -> dict[str, str]:
    return {"kind": kind, "apiVersion": "v1", "name": name, "uid": uid}


def claims(text: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    return found


@virtual.test()
async def test_the_claims_are_upstreams(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        account = await ask.must("GET", f"{NS}/serviceaccounts/default")
        now = int(env.clock.now())
        answer = await ask.must("POST", f"{NS}/serviceaccounts/default/token", request())
        assert answer["spec"] == {"audiences": [ISSUER], "expirationSeconds": 3600}
        assert answer["metadata"]["uid"] == account["metadata"]["uid"]
        assert answer["status"]["expirationTimestamp"] == "2030-01-01T01:00:00Z"
        found = claims(answer["status"]["token"])
        assert found.pop("jti")
        assert found == {
            "iss": ISSUER,
            "sub": "system:serviceaccount:default:default",
            "aud": [ISSUER],
            "exp": now + 3600,
            "iat": now,
            "nbf": now,
            "kubernetes.io": {
                "namespace": "default",
                "serviceaccount": {"name": "default", "uid": account["metadata"]["uid"]},
            },
        }


@virtual.test()
async def test_a_token_is_its_account(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"}}
        node_uid = (await ask.must("POST", "/api/v1/nodes", node))["metadata"]["uid"]
        made = await ask.must("POST", f"{NS}/pods", pod(nodeName="n1"))
        text = await token(ask, boundObjectRef=bound_to("Pod", "p"))
        status, user = await user_of(ask, text)
        assert status == 201
        assert user["username"] == "system:serviceaccount:default:default"
        assert user["groups"] == [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated",
        ]
        prefix = "authentication.kubernetes.io"
        assert user["extra"] == {
            f"{prefix}/pod-name": ["p"],
            f"{prefix}/pod-uid": [made["metadata"]["uid"]],
            f"{prefix}/node-name": ["n1"],
            f"{prefix}/node-uid": [node_uid],
            f"{prefix}/credential-id": [f"JTI={claims(text)['jti']}"],
        }


@virtual.test()
async def test_it_ends_when_it_says(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        text = await token(ask, expirationSeconds=600)
        await env.clock.sleep(600 + 59)
        assert (await user_of(ask, text))[0] == 201
        await env.clock.sleep(11)
        status, answer = await user_of(ask, text)
        assert (status, answer["reason"], answer["message"]) == (
            401,
            "Unauthorized",
            "Unauthorized",
        )


@virtual.test()
async def test_a_pods_token_lives_a_year_and_warns_after_its_hour(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", f"{NS}/pods", pod())
        now = int(VIRTUAL_EPOCH)
        found = claims(
            await token(ask, expirationSeconds=3607, boundObjectRef=bound_to("Pod", "p"))
        )
        assert found["exp"] == now + YEAR
        assert found["kubernetes.io"]["warnafter"] == now + 3607
        foreign = await token(
            ask, expirationSeconds=3607, boundObjectRef=bound_to("Pod", "p"), audiences=["vault"]
        )
        assert claims(foreign)["exp"] == now + 3607
        unbound = claims(await token(ask, expirationSeconds=3607))
        assert unbound["exp"] == now + 3607
        assert "warnafter" not in unbound["kubernetes.io"]


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("Pod", f"{NS}/pods", pod("x")),
        ("Secret", f"{NS}/secrets", {"kind": "Secret", "apiVersion": "v1"}),
        ("Node", "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1"}),
    ],
)
def test_it_dies_with_what_it_is_bound_to(
    asking: Any, kind: str, path: str, body: dict[str, Any]
) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            body["metadata"] = {"name": "x"}
            made = await ask.must("POST", path, body)
            uid = made["metadata"]["uid"]
            text = await token(ask, boundObjectRef=bound_to(kind, "x", uid))
            assert claims(text)["kubernetes.io"][kind.lower()] == {"name": "x", "uid": uid}
            assert (await user_of(ask, text))[0] == 201
            await ask.must("DELETE", f"{path}/x?gracePeriodSeconds=0")
            # It is believed for ten seconds more.
            assert (await user_of(ask, text))[0] == 201
            await env.clock.sleep(10)
            assert (await user_of(ask, text))[0] == 401
            await ask.must("POST", path, body)
            assert (await user_of(ask, text))[0] == 401, "another object of the same name"

    virtual.run(story)


@virtual.test()
async def test_it_dies_with_its_account(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        text = await token(ask)
        await ask.must("DELETE", f"{NS}/serviceaccounts/default")
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
        await ask.must("POST", f"{NS}/serviceaccounts", account)
        assert (await user_of(ask, text))[0] == 401


@virtual.test()
async def test_a_pod_in_its_last_minute_still_speaks(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", f"{NS}/pods", pod(nodeName="n1"))
        text = await token(ask, boundObjectRef=bound_to("Pod", "p"))
        await ask.must("DELETE", f"{NS}/pods/p?gracePeriodSeconds=30")
        await env.clock.sleep(30 + 60)
        assert (await user_of(ask, text))[0] == 201
        await env.clock.sleep(11)
        assert (await user_of(ask, text))[0] == 401


@pytest.mark.parametrize(
    ("spec", "status", "text"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, 422, "duration larger than 2^32 seconds"),
        ({"boundObjectRef": bound_to("Pod", "nope")}, 404, 'pods "nope" not found'),
        ({"boundObjectRef": bound_to("Pod", "p", "other")}, 409, "might have been deleted"),
        (
            {"boundObjectRef": bound_to("ConfigMap", "x")},
            400,
            "cannot bind token to object of type",
        ),
    ],
)
def test_what_is_refused(asking: Any, spec: dict[str, Any], status: int, text: str) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            await ask.must("POST", f"{NS}/pods", pod())
            path = f"{NS}/serviceaccounts/default/token"
            got, answer = await ask("POST", path, request(**spec))
            assert got == status and text in answer["message"], answer

    virtual.run(story)


@virtual.test()
async def test_a_pods_token_is_for_the_pods_account(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", f"{NS}/pods", pod())
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "other"}}
        await ask.must("POST", f"{NS}/serviceaccounts", account)
        expected = request(boundObjectRef=bound_to("Pod", "p"))
        status, answer = await ask("POST", f"{NS}/serviceaccounts/other/token", expected)
        assert status == 400 and "different serviceaccount name" in answer["message"]


@virtual.test()
async def test_a_token_for_an_account_that_was_made_anew_is_not_given(
    env: Env, asking: Any
) -> None:
    async with asking(env) as ask:
        expected = request() | {"metadata": {"uid": "another"}}
        status, answer = await ask("POST", f"{NS}/serviceaccounts/default/token", expected)
        assert status == 409
        assert "the UID in the token request (another) does not match" in answer["message"]


@virtual.test()
async def test_other_audiences_than_ours(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        text = await token(ask, audiences=["vault"])
        assert (await user_of(ask, text))[0] == 401
        review: dict[str, Any] = {
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {"token": text, "audiences": ["vault", "mail"]},
        }
        status = (await ask.must("POST", REVIEW, review))["status"]
        assert status["authenticated"] and status["audiences"] == ["vault"]
        assert status["user"]["username"] == "system:serviceaccount:default:default"
        review["spec"] = {"token": text}
        status = (await ask.must("POST", REVIEW, review))["status"]
        assert "authenticated" not in status
        assert 'token audiences ["vault"] is invalid' in status["error"]
        review["spec"] = {"token": "nonsense"}
        status = (await ask.must("POST", REVIEW, review))["status"]
        assert status == {"user": {}, "error": "invalid bearer token"}


@virtual.test()
async def test_a_forged_token_is_nothing(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        text = await token(ask)
        head, body, signature = text.split(".")
        said = claims(text)
        others = TokenKeys(ServiceAccountKeys(pki.new_key()))
        for forged in (
            f"{head}.{body}.{signature[::-1]}",
            f"{head}.{body}.",
            jwt.encode(said, "", algorithm="none"),
            others.sign(said),
            "a.b.c",
            "x" * 5000,
        ):
            assert (await user_of(ask, forged))[0] == 401


@virtual.test()
async def test_others_can_check_our_tokens(env: Env, asking: Any) -> None:
    async with asking(env, advertise=("192.0.2.1", 6443)) as ask:
        account = ask.as_user("system:serviceaccount:default:x", "system:serviceaccounts")
        found = await account.must("GET", "/.well-known/openid-configuration")
        assert found == {
            "issuer": ISSUER,
            "jwks_uri": "https://192.0.2.1:6443/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }
        keys = jwt.PyJWKSet.from_dict(await account.must("GET", "/openid/v1/jwks"))
        text = await token(ask)
        key = keys[jwt.get_unverified_header(text)["kid"]]
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        said = jwt.decode(text, key, algorithms=["ES256"], audience=ISSUER, options=options)
        assert said["sub"] == "system:serviceaccount:default:default"
        assert (await ask.as_user("bob")("GET", "/openid/v1/jwks"))[0] == 403


def test_rsa_keys_and_old_keys() -> None:
    old = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = old.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    before = TokenKeys(ServiceAccountKeys(private))
    text = before.sign({"iss": ISSUER, "sub": "x"})
    assert jwt.get_unverified_header(text)["alg"] == "RS256"
    after = TokenKeys(ServiceAccountKeys(pki.new_key(), public_keys=(pki.public_key(private),)))
    assert after.claims(text) == {"iss": ISSUER, "sub": "x"}
    assert [key["alg"] for key in after.key_set()["keys"]] == ["ES256", "RS256"]
    with pytest.raises(Rejected, match="no keys found"):
        TokenKeys(ServiceAccountKeys(pki.new_key())).claims(text)
    assert after.claims(before.sign({"iss": "somebody else"})) is None


@virtual.test()
async def test_a_change_of_the_issuer(env: Env, asking: Any) -> None:
    key = pki.new_key()
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    req = {"kind": "TokenRequest", "spec": {}}
    before = ServiceAccountKeys(key, issuer="https://old.test")
    async with asking(env, service_accounts=before) as ask:
        old = (await ask.must("POST", path, req))["status"]["token"]
    both = ServiceAccountKeys(
        key,
        issuer="https://new.test",
        other_issuers=("https://old.test",),
        jwks_uri="https://keys.test/jwks",
        max_expiration=7200,
    )
    async with asking(env, service_accounts=both) as ask:
        document = await ask.must("GET", "/.well-known/openid-configuration")
        assert document["issuer"] == "https://new.test"
        assert document["jwks_uri"] == "https://keys.test/jwks"
        longer = {"kind": "TokenRequest", "spec": {"expirationSeconds": 9000}}
        made = await ask.must("POST", path, longer)
        assert made["spec"]["expirationSeconds"] == 7200
        assert made["spec"]["audiences"] == ["https://new.test", "https://old.test"]
        claims = jwt.decode(made["status"]["token"], options={"verify_signature": False})
        assert claims["iss"] == "https://new.test"
        assert claims["exp"] - claims["iat"] == 7200
        keys = ask.server.context.authenticator.keys
        assert keys.claims(old) is not None
