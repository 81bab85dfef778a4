"""Who sends a request: certificates, static tokens, nobody, and somebody in another's name."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from trireme.apiserver.authn.certificates import UID
from trireme.apiserver.settings.authentication import Authentication
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.testing import virtual

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}


async def who(ask: Any, headers: dict[str, str], peer: bytes | None = None) -> tuple[int, Any]:
    status, answer = await ask("POST", WHO, REVIEW, headers, peer)
    return status, answer["status"]["userInfo"] if status == 201 else answer


def certificate(env: Env, lifetime: float = 3600.0, name: str = "jane") -> bytes:
    now = env.clock.now()
    authority = pki.new_authority("ca", now)
    pair = pki.issue(authority, name, now, organizations=["devs", "ops"], lifetime=lifetime)
    return x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)


@virtual.test()
async def test_a_certificate_is_its_subject_until_it_runs_out(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        peer = certificate(env)
        status, user = await who(ask.unknown(), {}, peer)
        assert status == 201
        assert user["username"] == "jane"
        assert set(user["groups"]) == {"devs", "ops", "system:authenticated"}
        credential = user["extra"]["authentication.kubernetes.io/credential-id"]
        assert credential[0].startswith("X509SHA256=")
        await env.clock.sleep(3601)
        assert (await who(ask.unknown(), {}, peer))[0] == 401


def with_attributes(env: Env, *attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    """A certificate with any subject, signed by nobody: TLS has checked it when it gets here."""
    now = datetime.datetime.fromtimestamp(env.clock.now(), datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(*item, _validate=False) for item in attributes])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


NAME = (NameOID.COMMON_NAME, "jane")


@pytest.mark.parametrize(
    ("attributes", "status", "name", "uid"),
    [
        ([NAME], 201, "jane", None),
        ([NAME, (UID, "7")], 201, "jane", "7"),
        ([NAME, (UID, "7"), (UID, "8")], 401, None, None),
        ([NAME, (UID, "")], 401, None, None),
        # Go's crypto/x509 takes the last.
        ([NAME, (NameOID.COMMON_NAME, "joe")], 201, "joe", None),
    ],
)
def test_what_a_certificates_subject_says(
    asking: Any, attributes: Any, status: int, name: str | None, uid: str | None
) -> None:
    async def story(env: Env) -> None:
        peer = with_attributes(env, *attributes)
        async with asking(env) as ask:
            answered, user = await who(ask.unknown(), {}, peer)
            assert (answered, user.get("username"), user.get("uid")) == (status, name, uid)
        async with asking(env, feature_gates={"AllowParsingUserUIDFromCertAuth": False}) as ask:
            answered, user = await who(ask.unknown(), {}, peer)
            assert (answered, user.get("uid")) == (201, None)

    virtual.run(story)


@virtual.test()
async def test_static_tokens(env: Env, asking: Any) -> None:
    tokens = {"t0ken": ("joe", "7", ("devs",))}
    async with asking(env, authentication=Authentication(static_tokens=tokens)) as ask:
        status, user = await who(ask.unknown(), {"authorization": "Bearer t0ken"})
        assert status == 201
        assert user == {"username": "joe", "uid": "7", "groups": ["devs", "system:authenticated"]}
        for bad in ("Bearer nope", "bearer nope"):
            assert (await who(ask.unknown(), {"authorization": bad}))[0] == 401


@virtual.test()
async def test_a_browsers_websocket_brings_its_token_as_a_protocol(env: Env, asking: Any) -> None:
    async with asking(
        env, authentication=Authentication(static_tokens={"t0ken": ("joe", "", ())})
    ) as ask:
        protocol = "base64url.bearer.authorization.k8s.io.dDBrZW4, v4.channel.k8s.io"
        assert (await who(ask.unknown(), {"sec-websocket-protocol": protocol}))[0] == 201


@virtual.test()
async def test_anonymous_can_be_turned_off(env: Env, asking: Any) -> None:
    async with asking(env, authentication=Authentication(anonymous=False)) as ask:
        assert (await ask.unknown()("GET", "/version"))[0] == 401


ROLE: dict[str, Any] = {
    "kind": "ClusterRole",
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "metadata": {"name": "impersonator"},
    "rules": [
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"]},
        {
            "verbs": ["impersonate"],
            "apiGroups": [""],
            "resources": ["groups"],
            "resourceNames": ["devs"],
        },
        {
            "verbs": ["impersonate"],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["userextras/scopes", "uids"],
        },
    ],
}
BINDING: dict[str, Any] = {
    "kind": "ClusterRoleBinding",
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "metadata": {"name": "impersonator"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "impersonator",
    },
    "subjects": [{"kind": "User", "name": "meg", "apiGroup": "rbac.authorization.k8s.io"}],
}


@pytest.mark.parametrize(
    ("headers", "status", "user"),
    [
        ({"user": "joe"}, 201, {"username": "joe", "groups": ["system:authenticated"]}),
        (
            {"user": "joe", "group": "devs"},
            201,
            {"username": "joe", "groups": ["devs", "system:authenticated"]},
        ),
        ({"user": "joe", "group": "ops"}, 403, "groups"),
        (
            {"user": "joe", "extra-scopes": "a", "uid": "7"},
            201,
            {
                "username": "joe",
                "uid": "7",
                "groups": ["system:authenticated"],
                "extra": {"scopes": ["a"]},
            },
        ),
        ({"user": "joe", "extra-other": "a"}, 403, "userextras/other"),
        ({"user": "system:serviceaccount:default:x"}, 403, "serviceaccounts"),
        ({"group": "devs"}, 400, "without impersonating a user"),
    ],
)
@pytest.mark.parametrize("constrained", [True, False])
def test_impersonation(
    asking: Any, headers: dict[str, str], status: int, user: Any, constrained: bool
) -> None:
    async def story(env: Env) -> None:
        async with asking(env, feature_gates={"ConstrainedImpersonation": constrained}) as ask:
            rbac = "/apis/rbac.authorization.k8s.io/v1"
            await ask.must("POST", f"{rbac}/clusterroles", ROLE)
            await ask.must("POST", f"{rbac}/clusterrolebindings", BINDING)
            sent = {f"impersonate-{name}": value for name, value in headers.items()}
            got, answer = await who(ask.as_user("meg"), sent)
            assert got == status, answer
            if status == 201:
                assert answer == user
            elif constrained and status == 403:
                # What is tried first is what is complained of.
                assert "cannot impersonate-on:" in answer["message"]
            else:
                assert user in answer["message"]

    virtual.run(story)


CONSTRAINED: dict[str, Any] = ROLE | {
    "rules": [
        {
            "verbs": ["impersonate:user-info"],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["users", "groups"],
            "resourceNames": ["joe", "devs"],
        },
        {
            "verbs": ["impersonate:serviceaccount", "impersonate:arbitrary-node"],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["serviceaccounts", "nodes"],
            "resourceNames": ["x", "n1"],
        },
        {
            "verbs": [
                f"impersonate-on:{mode}:create"
                for mode in ("user-info", "serviceaccount", "arbitrary-node")
            ],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["selfsubjectreviews"],
        },
    ],
}


@pytest.mark.parametrize(
    ("headers", "groups"),
    [
        ({"user": "joe"}, ["system:authenticated"]),
        ({"user": "joe", "group": "devs"}, ["devs", "system:authenticated"]),
        ({"user": "joe", "group": "ops"}, None),
        ({"user": "joe", "group": "system:masters"}, None),
        ({"user": "joe", "uid": "7"}, None),
        ({"user": "max"}, None),
        (
            {"user": "system:serviceaccount:default:x"},
            ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        ),
        ({"user": "system:serviceaccount:default:y"}, None),
        ({"user": "system:serviceaccount:default:x", "group": "devs"}, None),
        ({"user": "system:node:n1"}, ["system:nodes", "system:authenticated"]),
        ({"user": "system:node:n2"}, None),
    ],
)
@virtual.test()
async def test_constrained_impersonation(
    env: Env, asking: Any, headers: dict[str, str], groups: list[str] | None
) -> None:
    async with asking(env) as ask:
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        await ask.must("POST", f"{rbac}/clusterroles", CONSTRAINED)
        await ask.must("POST", f"{rbac}/clusterrolebindings", BINDING)
        sent = {f"impersonate-{name}": value for name, value in headers.items()}
        meg = ask.as_user("meg")
        status, answer = await who(meg, sent)
        assert status == (403 if groups is None else 201), answer
        if groups is not None:
            assert answer["groups"] == groups
        # Only what the role names may be done as somebody else.
        assert (await meg("GET", "/api/v1/nodes", headers=sent))[0] == 403


@virtual.test()
async def test_an_impersonated_account_has_its_groups(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        sent = {"impersonate-user": "system:serviceaccount:default:x"}
        status, user = await who(ask, sent)
        assert status == 201
        assert user["groups"] == [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated",
        ]
