"""May I? May he? What may I? The reviews, as kubectl auth and kubelets ask them."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.kit.env import Env
from trireme.testing import virtual

API = "/apis/authorization.k8s.io/v1"
VERSION = "authorization.k8s.io/v1"
PODS = {"verb": "list", "resource": "pods", "namespace": "default"}


def review(kind: str, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": VERSION, "metadata": metadata or {}, "spec": spec}


@virtual.test()
async def test_about_oneself(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        path = f"{API}/selfsubjectaccessreviews"
        expected = review("SelfSubjectAccessReview", resourceAttributes=PODS)
        answer = await ask.must("POST", path, expected)
        assert answer["status"] == {"allowed": True}
        assert answer["spec"] == {"resourceAttributes": PODS}
        answer = await ask.as_user("bob").must("POST", path, expected)
        assert answer["status"] == {"allowed": False}
        expected = review(
            "SelfSubjectAccessReview", nonResourceAttributes={"path": "/api", "verb": "get"}
        )
        answer = await ask.as_user("bob").must("POST", path, expected)
        assert answer["status"] == {
            "allowed": True,
            "reason": 'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole '
            '"system:discovery" to Group "system:authenticated"',
        }


@virtual.test()
async def test_about_others(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        path = f"{API}/subjectaccessreviews"
        user = "system:kube-scheduler"
        expected = review("SubjectAccessReview", user=user, resourceAttributes=PODS)
        assert (await ask.must("POST", path, expected))["status"]["allowed"]
        expected["spec"]["user"] = "bob"
        assert not (await ask.must("POST", path, expected))["status"]["allowed"]
        expected["spec"]["groups"] = ["system:masters"]
        assert (await ask.must("POST", path, expected))["status"]["allowed"]
        assert (await ask.as_user("bob")("POST", path, expected))[0] == 403


@virtual.test()
async def test_selectors_count(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        path = f"{API}/subjectaccessreviews"
        for selector, allowed in (
            ({"rawSelector": "spec.nodeName=n1"}, True),
            ({"rawSelector": "spec.nodeName=n2"}, False),
            (
                {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]},
                True,
            ),
        ):
            expected = review(
                "SubjectAccessReview",
                user="system:node:n1",
                groups=["system:nodes"],
                resourceAttributes=PODS | {"fieldSelector": selector},
            )
            status = (await ask.must("POST", path, expected))["status"]
            assert status["allowed"] is allowed
        expected["spec"]["resourceAttributes"]["fieldSelector"] = {"rawSelector": "a b"}
        status = (await ask.must("POST", path, expected))["status"]
        assert status["evaluationError"].endswith("fieldSelector ignored due to parse error")


@virtual.test()
async def test_in_one_namespace(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        path = f"{API}/namespaces/default/localsubjectaccessreviews"
        expected = review("LocalSubjectAccessReview", user="bob", resourceAttributes=PODS)
        answer = await ask.must("POST", path, expected)
        assert answer["status"] == {"allowed": False}
        elsewhere = f"{API}/namespaces/nowhere/localsubjectaccessreviews"
        status, answer = await ask("POST", elsewhere, expected)
        assert status == 422 and "must match metadata.namespace" in answer["message"]


@pytest.mark.parametrize(
    ("spec", "metadata", "text"),
    [
        ({}, {}, "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        ({"resourceAttributes": PODS}, {}, "at least one of user or group must be specified"),
        (
            {"resourceAttributes": PODS, "nonResourceAttributes": {"path": "/"}, "user": "x"},
            {},
            "cannot be specified in combination with resourceAttributes",
        ),
        ({"resourceAttributes": PODS, "user": "x"}, {"name": "x"}, "must be empty"),
        (
            {"resourceAttributes": PODS | {"fieldSelector": {}}, "user": "x"},
            {},
            "requirements or rawSelector is required",
        ),
    ],
)
def test_questions_that_make_no_sense(
    asking: Any, spec: dict[str, Any], metadata: dict[str, Any], text: str
) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            expected = review("SubjectAccessReview", metadata, **spec)
            status, answer = await ask("POST", f"{API}/subjectaccessreviews", expected)
            assert status == 422 and text in answer["message"], answer

    virtual.run(story)


@virtual.test()
async def test_all_that_one_may(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        path = f"{API}/selfsubjectrulesreviews"
        expected = review("SelfSubjectRulesReview", namespace="default")
        status = (await ask.must("POST", path, expected))["status"]
        assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in status["resourceRules"]
        assert {"verbs": ["*"], "nonResourceURLs": ["*"]} in status["nonResourceRules"]
        assert status["incomplete"] is False
        status = (await ask.as_node("n1").must("POST", path, expected))["status"]
        assert status["incomplete"] is True
        assert status["evaluationError"].startswith("node authorizer does not support")
        assert (await ask("POST", path, review("SelfSubjectRulesReview")))[0] == 400
