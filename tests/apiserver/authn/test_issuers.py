"""Issuers of tokens: who their bearers are, and what happens when keys and files change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.apiserver.authn import issuers

from trireme.apiserver.authn import claims, configuration
from trireme.apiserver.authn.contract import Rejected
from trireme.apiserver.authn.oidc import IssuerError
from trireme.apiserver.settings.authentication import Authentication, AuthenticationConfiguration
from trireme.kit.env import Env

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"


def trusting(*several: issuers.Issuer, **more: Any) -> Authentication:
    jwt = tuple(issuer.config(**more) for issuer in several)
    return Authentication(configuration=AuthenticationConfiguration(jwt=jwt))


async def who(ask: Any, token: str) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {token}"}
    status, answer = await ask.unknown()("POST", WHO, REVIEW, headers)
    return status, answer["status"]["userInfo"] if status == 201 else answer


async def test_a_user_with_groups(asking: Any) -> None:
    async with issuers.issuer() as issuer, asking(Env(), authentication=trusting(issuer)) as ask:
        status, user = await who(ask, issuer.token(groups=["a", "b"], jti="x"))
        assert status == 201
        assert user == {
            "username": "oidc:jane",
            "groups": ["oidc:a", "oidc:b", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=x"]},
        }
        # Asked for once, however many tokens there are.
        await who(ask, issuer.token(sub="joe"))
        assert issuer.fetched == {"/.well-known/openid-configuration": 1, "/keys": 1}


@pytest.mark.parametrize("algorithm", ["RS512", "PS384", "ES256"])
async def test_algorithms(asking: Any, algorithm: str) -> None:
    async with issuers.issuer() as issuer:
        issuer.keys = [issuers.Key("one", algorithm)]
        async with asking(Env(), authentication=trusting(issuer)) as ask:
            assert (await who(ask, issuer.token()))[0] == 201


async def test_a_new_key_is_found_by_the_first_token_that_it_signs(
    asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trireme.apiserver.authn.oidc.REFETCH", 0.0)
    async with issuers.issuer() as issuer, asking(Env(), authentication=trusting(issuer)) as ask:
        before = issuer.token(jti="1")
        assert (await who(ask, before))[0] == 201
        issuer.keys = [issuers.Key("two")]
        assert (await who(ask, issuer.token(jti="2")))[0] == 201
        assert issuer.fetched["/keys"] == 2


async def test_several_issuers(asking: Any) -> None:
    async with issuers.issuer() as one, issuers.issuer() as two:
        two.keys = [issuers.Key("one")]
        async with asking(Env(), authentication=trusting(one, two)) as ask:
            assert (await who(ask, one.token()))[0] == 201
            assert (await who(ask, two.token()))[0] == 201
            # Each by its own keys.
            assert (await who(ask, one.token(two.keys[0])))[0] == 401


async def test_a_discovery_url(asking: Any) -> None:
    async with issuers.issuer() as issuer:
        elsewhere = {"discoveryURL": f"{issuer.url}/elsewhere"}
        document = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
        issuer.texts = {"/elsewhere": json.dumps(document)}
        async with asking(Env(), authentication=trusting(issuer, issuer=elsewhere)) as ask:
            assert (await who(ask, issuer.token()))[0] == 201
        assert issuer.fetched == {"/elsewhere": 1, "/keys": 1}


async def test_groups_that_are_elsewhere(asking: Any) -> None:
    async with issuers.issuer() as issuer, asking(Env(), authentication=trusting(issuer)) as ask:
        issuer.texts = {"/groups": issuer.token(groups=["far"])}
        source = {"endpoint": f"{issuer.url}/groups", "access_token": "t"}
        distributed: dict[str, Any] = {
            "_claim_names": {"groups": "s"},
            "_claim_sources": {"s": source},
        }
        status, user = await who(ask, issuer.token(**distributed))
        assert (status, user["groups"]) == (201, ["oidc:far", "system:authenticated"])
        issuer.texts = {"/groups": issuer.token(issuers.Key("one"), groups=["forged"])}
        assert (await who(ask, issuer.token(jti="2", **distributed)))[0] == 401


async def test_other_issuers_from_a_file(asking: Any) -> None:
    async with (
        issuers.issuer() as one,
        issuers.issuer() as two,
        asking(Env(), authentication=trusting(one)) as ask,
    ):
        authenticator = ask.server.context.authenticator
        assert (await who(ask, one.token()))[0] == 201
        assert (await who(ask, two.token()))[0] == 401
        two.document = {"issuer": "https://others.test"}
        other = trusting(two).configuration
        with pytest.raises(IssuerError):
            await authenticator.reconfigure(other)
        assert (await who(ask, one.token(jti="2")))[0] == 201
        two.document = {}
        await authenticator.reconfigure(other)
        # At once, also for a token that has just passed.
        assert (await who(ask, one.token(jti="2")))[0] == 401
        assert (await who(ask, two.token()))[0] == 201


async def test_reviews_know_them(asking: Any) -> None:
    async with issuers.issuer() as issuer, asking(Env(), authentication=trusting(issuer)) as ask:
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        review = {"kind": "TokenReview", "spec": {"token": issuer.token()}}
        answer = await ask.must("POST", path, review)
        assert answer["status"]["user"]["username"] == "oidc:jane"
        review["spec"] = {"token": issuer.token(), "audiences": ["others"]}
        assert "authenticated" not in (await ask.must("POST", path, review))["status"]


def compiled(mappings: str, more: str = "") -> configuration.Authenticator:
    text = (
        f"{HEAD}jwt:\n- issuer: {{url: 'https://a.test', audiences: [x]}}\n"
        f"  claimMappings: {mappings}\n{more}"
    )
    return configuration.compiled(configuration.decode(text.encode()), ())[0]


SUB = "{username: {claim: sub, prefix: ''}}"


@pytest.mark.parametrize(
    ("mappings", "found", "expected"),
    [
        (SUB, {"sub": "a"}, ("a", "", (), {})),
        ("{username: {expression: 'claims.a.b + \":x\"'}}", {"a": {"b": "u"}}, ("u:x", "", (), {})),
        (
            "{username: {claim: email, prefix: ''}}",
            {"email": "a@b", "email_verified": True},
            ("a@b", "", (), {}),
        ),
        (
            "{username: {claim: sub, prefix: p}, groups: {claim: role, prefix: 'g:'}}",
            {"sub": "a", "role": "x"},
            ("pa", "", ("g:x",), {}),
        ),
        (
            "{username: {claim: sub, prefix: ''}, groups: {expression: 'claims.g'}, "
            "uid: {claim: u}, extra: [{key: example.com/t, valueExpression: 'claims.t'}]}",
            {"sub": "a", "g": ["x", "", "y"], "u": "7", "t": "one", "jti": "j"},
            (
                "a",
                "7",
                ("x", "y"),
                {
                    "authentication.kubernetes.io/credential-id": ("JTI=j",),
                    "example.com/t": ("one",),
                },
            ),
        ),
        (
            "{username: {claim: sub, prefix: ''}, groups: {expression: 'claims.?g.orValue(\"\")'}, "
            'uid: {expression: \'claims.n > 1.5 ? "big" : "small"\'}}',
            {"sub": "a", "n": 2},
            ("a", "big", (), {}),
        ),
    ],
)
def test_what_claims_make(mappings: str, found: dict[str, Any], expected: Any) -> None:
    user = claims.user_of(compiled(mappings), found)
    assert (user.name, user.uid, user.groups, dict(user.extra)) == expected


@pytest.mark.parametrize(
    ("mappings", "more", "found", "problem"),
    [
        (SUB, "", {}, 'oidc: parse username claims "sub": claim not present'),
        (SUB, "", {"sub": 1}, "cannot unmarshal number into Go value of type string"),
        (
            "{username: {claim: email, prefix: ''}}",
            "",
            {"email": "a@b", "email_verified": False},
            "oidc: email not verified",
        ),
        (
            "{username: {claim: email, prefix: ''}}",
            "",
            {"email": "a@b", "email_verified": "true"},
            "oidc: parse 'email_verified' claim",
        ),
        ("{username: {expression: 'claims.n'}}", "", {"n": 1}, "must return a string"),
        ("{username: {expression: 'claims.n'}}", "", {"n": ""}, "empty username"),
        ("{username: {expression: 'claims.x'}}", "", {}, "no such key"),
        (
            "{username: {claim: sub, prefix: ''}, groups: {claim: g, prefix: ''}}",
            "",
            {"sub": "a", "g": [1]},
            'parse groups claim "g"',
        ),
        (
            SUB,
            "  claimValidationRules: [{claim: hd, requiredValue: here}]\n",
            {"sub": "a"},
            "required claim hd not present in ID token",
        ),
        (
            SUB,
            "  claimValidationRules: [{claim: hd, requiredValue: here}]\n",
            {"sub": "a", "hd": "there"},
            "required claim hd value does not match. Got = there, want = here",
        ),
        (
            SUB,
            "  claimValidationRules: [{expression: 'claims.n < 3.0', message: too many}]\n",
            {"sub": "a", "n": 3},
            "validation expression 'claims.n < 3.0' failed: too many",
        ),
        (
            SUB,
            "  userValidationRules: [{expression: \"!user.username.startsWith('system:')\", "
            "message: reserved}]\n",
            {"sub": "system:admin"},
            "failed: reserved",
        ),
    ],
)
def test_what_claims_do_not_make(
    mappings: str, more: str, found: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Rejected) as refused:
        claims.user_of(compiled(mappings, more), found)
    assert problem in str(refused.value)


OK = (
    "jwt:\n- issuer: {url: 'https://a.test', audiences: [x]}\n"
    "  claimMappings: {username: {claim: sub, prefix: ''}}\n"
)
_UNVERIFIED = "claims.email_verified must be used in claimMappings.username.expression"


# What upstream's kube-apiserver v1.36.2 says of the same files.
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("foo: 1\n", 'strict decoding error: unknown field "foo"'),
        (
            OK.replace("https://a.test", "http://u:p@a.test/?q#f"),
            "URL scheme must be https, "
            'jwt[0].issuer.url: Invalid value: "http://u:p@a.test/?q#f": URL must not contain a '
            "username or password",
        ),
        (
            "jwt:\n- issuer: {url: 'https://a.test'}\n",
            "[jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is "
            "required, jwt[0].claimMappings.username: Required value: claim or expression is "
            "required]",
        ),
        (
            OK.replace("[x]", '[x, x, ""]'),
            '[jwt[0].issuer.audiences[1]: Duplicate value: "x", jwt[0].issuer.audiences[2]: '
            'Required value, jwt[0].issuer.audienceMatchPolicy: Invalid value: "": '
            "audienceMatchPolicy must be MatchAny for multiple audiences]",
        ),
        (OK + OK[5:], 'jwt[1].issuer.url: Duplicate value: "https://a.test"'),
        (
            OK.replace("audiences", "discoveryURL: https://a.test/, audiences"),
            'Invalid value: "https://a.test/": discoveryURL must be different from URL',
        ),
        (
            OK.replace("https://a.test", "https://own.test"),
            "URL must not overlap with disallowed issuers: [https://own.test]",
        ),
        (OK.replace(", prefix: ''", ""), "prefix is required when claim is set"),
        (OK.replace("claim: sub, prefix: ''", "expression: claims.email"), _UNVERIFIED),
        (
            OK.replace("claim: sub, prefix: ''", "expression: 'claims.?email.orValue(\"\")'"),
            _UNVERIFIED,
        ),
        (
            OK.replace("username:", "extra: [{key: Foo}, {key: kubernetes.io/x}], username:"),
            '[jwt[0].claimMappings.extra[0].key: Invalid value: "Foo": must be a domain-prefixed '
            'path (such as "acme.io/foo"), jwt[0].claimMappings.extra[0].key: Invalid value: '
            '"Foo": must be lowercase, jwt[0].claimMappings.extra[0].valueExpression: Required '
            'value, jwt[0].claimMappings.extra[1].key: Invalid value: "kubernetes.io/x": k8s.io, '
            "kubernetes.io and their subdomains are reserved for Kubernetes use",
        ),
        (
            OK + "  userValidationRules: [{}, {expression: 'user.username'}]\n",
            "[jwt[0].userValidationRules[0].expression: Required value, "
            'jwt[0].userValidationRules[1].expression: Invalid value: "user.username": must '
            "evaluate to bool]",
        ),
        (
            "anonymous: {enabled: false, conditions: [{path: /x}]}\n",
            "enabled should be set to true when conditions are defined",
        ),
        (OK.replace("audiences", "egressSelectorType: cluster, audiences"), "egressSelectorType"),
    ],
)
def test_bad_files(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:
        configuration.compiled(configuration.decode((HEAD + text).encode()), ("https://own.test",))
    assert problem in str(refused.value)


def test_all_versions_are_read_and_no_others() -> None:
    for version in ("v1", "v1beta1", "v1alpha1"):
        text = HEAD.replace("/v1\n", f"/{version}\n") + OK
        assert configuration.decode(text.encode()).jwt[0].issuer.url == "https://a.test"
    with pytest.raises(ValueError, match="is registered for version"):
        configuration.decode(HEAD.replace("/v1\n", "/v2\n").encode())


async def test_anonymous_by_path(asking: Any) -> None:
    config = configuration.decode(
        f"{HEAD}anonymous: {{enabled: true, conditions: [{{path: /livez}}]}}\n".encode()
    )
    async with asking(Env(), authentication=Authentication(configuration=config)) as ask:
        assert (await ask.unknown().answer("GET", "/livez")).status == 200
        for path in ("/readyz", "/livez/ping", "/version"):
            assert (await ask.unknown()("GET", path))[0] == 401
