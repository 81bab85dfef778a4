"""--authorization-mode: other authorizers than Node and RBAC."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.apiserver.authz import abac
from trireme.apiserver.authz.contract import Attributes
from trireme.apiserver.request import User
from trireme.apiserver.settings.authorization import Authorization, of_modes
from trireme.kit.env import Env
from trireme.testing import virtual

MAPS = "/api/v1/namespaces/default/configmaps"
VERSIONED = (
    '{{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{{{}}}}}'
)
POLICY = "\n".join(
    (
        "# who may what",
        "",
        VERSIONED.format('"user":"jane","namespace":"default","resource":"configmaps"'),
        VERSIONED.format('"group":"readers","readonly":true,"namespace":"*","resource":"*",'
                         '"apiGroup":"*","nonResourcePath":"/metrics*"'),
        '{"user":"old","readonly":true}',
    )
)  # fmt: skip


@pytest.mark.parametrize(("modes", "status"), [(("AlwaysAllow",), 200), (("AlwaysDeny",), 403)])
@virtual.test()
async def test_always(env: Env, asking: Any, modes: tuple[str, ...], status: int) -> None:
    async with asking(env, authorization=Authorization(of_modes(*modes))) as ask:
        assert (await ask.as_user("jane")("GET", MAPS))[0] == status
        assert (await ask("GET", MAPS))[0] == 200


@virtual.test()
async def test_a_refusal_has_the_reasons_of_all(env: Env, asking: Any) -> None:
    settings = Authorization(of_modes("AlwaysDeny", "ABAC", "RBAC"))
    async with asking(env, authorization=settings) as ask:
        _, answer = await ask.as_user("jane")("GET", MAPS)
        assert answer["message"].endswith("Everything is forbidden.\nNo policy matched.")


@virtual.test()
async def test_rules_of_all_modes(env: Env, asking: Any) -> None:
    settings = Authorization(of_modes("ABAC", "RBAC"), abac.parse(POLICY))
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    review = {"kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}}
    async with asking(env, authorization=settings) as ask:
        found = (await ask.as_user("jane").must("POST", path, review))["status"]
        assert {"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps"]} in found[
            "resourceRules"
        ]
        assert not found["incomplete"]


def asked(user: str, verb: str, *groups: str, **more: str) -> bool:
    authorizer = abac.AbacAuthorizer(abac.parse(POLICY))
    return authorizer.authorize(Attributes(User(user, groups=groups), verb, **more)).allowed


def test_policies() -> None:
    maps = {"resource": "configmaps", "namespace": "default"}
    assert asked("jane", "delete", **maps)
    assert not asked("jane", "delete", **(maps | {"namespace": "other"}))
    assert not asked("jane", "delete", group="apps", **maps)
    assert not asked("joe", "delete", **maps)
    assert asked("joe", "list", "readers", group="apps", resource="deployments", namespace="x")
    assert not asked("joe", "create", "readers", group="apps", resource="deployments")
    assert asked("joe", "get", "readers", path="/metrics/slis")
    assert not asked("joe", "get", "readers", path="/version")
    # Without a version all that is left out is everything.
    assert asked("old", "watch", group="apps", resource="deployments", namespace="x")
    assert asked("old", "get", path="/version")
    assert not asked("old", "update", group="apps", resource="deployments", namespace="x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "line 1"),
        ("\n{}x", "line 2"),
        ('{"users":"a"}', "unknown field `users`"),
        ('{"apiVersion":"v1","kind":"Policy"}', 'no kind "Policy" is registered for version "v1"'),
        ("[]", "line 1"),
    ],
)
def test_bad_policies(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        abac.parse(text)
