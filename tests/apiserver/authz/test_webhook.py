"""Authorizers elsewhere: whom they are asked about, and what comes of their answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from trireme.apiserver.authz import configuration
from trireme.apiserver.settings.authorization import Authorization
from trireme.client.kubeconfig import Access
from trireme.kit.env import Env

MAPS = "/api/v1/namespaces/default/configmaps"
HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n"
WEBHOOK = """\
- type: Webhook
  name: {name}
  webhook:
    timeout: 3s
    subjectAccessReviewVersion: {version}
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: {policy}
    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: /{name}}}
    matchConditions: [{conditions}]
"""
RBAC = "- {type: RBAC, name: rbac}\n"
YES, NO, NOTHING = {"allowed": True}, {"allowed": False, "denied": True}, {"allowed": False}


class Webhook:
    """``decide`` makes the status of an answer; ``asked`` are the specs."""

    def __init__(self) -> None:
        self.decide: Callable[[Any], Any] = lambda spec: YES
        self.asked: list[Any] = []
        self.versions: set[str] = set()
        self.code = 200
        self.access = Access(server="")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        review = json.loads(await request.read())
        self.asked.append(review["spec"])
        self.versions.add(review["apiVersion"])
        if self.code != 200:
            return web.Response(status=self.code)
        return web.json_response({**review, "status": self.decide(review["spec"])})


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    made = Webhook()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.access = Access(server=f"http://127.0.0.1:{runner.addresses[0][1]}/review")
    try:
        yield made
    finally:
        await runner.cleanup()


def entry(
    name: str = "one", version: str = "v1", policy: str = "NoOpinion", conditions: str = ""
) -> str:
    return WEBHOOK.format(name=name, version=version, policy=policy, conditions=conditions)


def configured(hook: Webhook, *authorizers: str) -> Authorization:
    config = configuration.decode((HEAD + "".join(authorizers)).encode())
    return Authorization(config, access=lambda path: hook.access)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_it_is_asked_what_upstream_asks(asking: Any, version: str) -> None:
    async with (
        webhook() as hook,
        asking(Env(), authorization=configured(hook, entry(version=version))) as ask,
    ):
        jane = ask.as_user("jane", "devs")
        assert (await jane("GET", f"{MAPS}?labelSelector=a=b,c&fieldSelector=x!=y"))[0] == 400
        assert (await jane("GET", "/apis/apps/v1/namespaces/n/deployments/d/scale"))[0] == 404
        assert (await jane("GET", "/version"))[0] == 200
    groups = "groups" if version == "v1" else "group"
    who = {"user": "jane", groups: ["devs", "system:authenticated"]}
    assert hook.versions == {f"authorization.k8s.io/{version}"}
    assert hook.asked == [
        {
            "resourceAttributes": {
                "namespace": "default",
                "verb": "list",
                "version": "v1",
                "resource": "configmaps",
                "fieldSelector": {
                    "requirements": [{"key": "x", "operator": "NotIn", "values": ["y"]}]
                },
                "labelSelector": {
                    "requirements": [
                        {"key": "a", "operator": "In", "values": ["b"]},
                        {"key": "c", "operator": "Exists"},
                    ]
                },
            },
            **who,
        },
        {
            "resourceAttributes": {
                "namespace": "n",
                "verb": "get",
                "group": "apps",
                "version": "v1",
                "resource": "deployments",
                "subresource": "scale",
                "name": "d",
            },
            **who,
        },
        {"nonResourceAttributes": {"path": "/version", "verb": "get"}, **who},
    ]


async def test_answers_are_kept_for_a_while(asking: Any) -> None:
    async with webhook() as hook, asking(Env(), authorization=configured(hook, entry())) as ask:
        for _ in range(3):
            assert (await ask.as_user("jane")("GET", MAPS))[0] == 200
        assert len(hook.asked) == 1
        hook.decide = lambda spec: NOTHING
        for _ in range(3):
            assert (await ask.as_user("joe")("GET", MAPS))[0] == 403
        assert len(hook.asked) == 2
        # Whoever may do everything anyway.
        assert (await ask("GET", MAPS))[0] == 200
        assert len(hook.asked) == 2


async def test_the_first_opinion_counts(asking: Any) -> None:
    async with webhook() as hook:
        hook.decide = lambda spec: NO if spec["user"] == "jane" else NOTHING
        one, two = configured(hook, entry(), RBAC), configured(hook, RBAC, entry())
        for settings, status in ((one, 403), (two, 200)):
            async with asking(Env(), authorization=settings) as ask:
                role = {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": "jane"},
                    "roleRef": {"kind": "ClusterRole", "name": "cluster-admin",
                                "apiGroup": "rbac.authorization.k8s.io"},
                    "subjects": [{"kind": "User", "name": "jane",
                                  "apiGroup": "rbac.authorization.k8s.io"}],
                }  # fmt: skip
                path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
                await ask.must("POST", path, role)
                assert (await ask.as_user("jane")("GET", MAPS))[0] == status
                assert (await ask.as_user("joe")("GET", MAPS))[0] == 403


@pytest.mark.parametrize(("policy", "status"), [("NoOpinion", 200), ("Deny", 500)])
async def test_one_that_fails(
    asking: Any, monkeypatch: pytest.MonkeyPatch, policy: str, status: int
) -> None:
    monkeypatch.setattr("trireme.apiserver.webhook_client.FIRST", 0.0)
    allow = "- {type: AlwaysAllow, name: alwaysallow}\n"
    async with webhook() as hook:
        hook.code = 500
        settings = configured(hook, entry(policy=policy), allow)
        async with asking(Env(), authorization=settings) as ask:
            assert (await ask.as_user("jane")("GET", MAPS))[0] == status
        assert len(hook.asked) == 5


async def test_conditions(asking: Any) -> None:
    conditions = (
        "{expression: \"request.user != 'joe'\"}, "
        '{expression: "has(request.resourceAttributes) && '
        "request.resourceAttributes.namespace == 'default'\"}"
    )
    async with webhook() as hook:
        settings = configured(hook, entry(conditions=conditions))
        async with asking(Env(), authorization=settings) as ask:
            assert (await ask.as_user("jane")("GET", MAPS))[0] == 200
            assert (await ask.as_user("joe")("GET", MAPS))[0] == 403
            other = MAPS.replace("default", "kube-system")
            assert (await ask.as_user("jane")("GET", other))[0] == 403
            assert (await ask.as_user("jane")("GET", "/version"))[0] == 403
        assert len(hook.asked) == 1


async def test_a_condition_that_cannot_be_evaluated(asking: Any) -> None:
    conditions = "{expression: \"request.resourceAttributes.namespace == 'default'\"}"
    async with webhook() as hook:
        for policy, status in (("Deny", 500), ("NoOpinion", 200)):
            allow = "- {type: AlwaysAllow, name: alwaysallow}\n"
            settings = configured(hook, entry(policy=policy, conditions=conditions), allow)
            async with asking(Env(), authorization=settings) as ask:
                assert (await ask.as_user("jane")("GET", "/version"))[0] == status
        assert hook.asked == []


async def test_everybody_who_asks_waits_for_it(asking: Any) -> None:
    """Impersonation, access reviews, apply, admission: each asks more than the request itself."""
    allowed = {"impersonate", "create", "patch", "get", "approve", "update", "escalate", "bind"}

    def decide(spec: Any) -> Any:
        verb = spec.get("resourceAttributes", {}).get("verb", "")
        return YES if spec["user"] == "jane" and verb in allowed else NOTHING

    rbac = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "all"},
        "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    }
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    about = {"verb": "create", "resource": "pods"}
    review = {"kind": "SubjectAccessReview", "spec": {"user": "jane", "resourceAttributes": about}}
    async with webhook() as hook:
        hook.decide = decide
        async with asking(Env(), authorization=configured(hook, RBAC, entry())) as ask:
            jane = ask.as_user("jane")
            headers = {"impersonate-user": "joe"}
            status, answer = await jane("GET", MAPS, None, headers)
            assert (status, 'User "joe" cannot list' in answer["message"]) == (403, True)
            allowed.remove("impersonate")
            headers = {"impersonate-user": "jim"}
            status, answer = await jane("GET", MAPS, None, headers)
            assert (status, 'User "jane" cannot' in answer["message"]) == (403, True)
            assert (await jane.must("POST", rbac, role))["metadata"]["name"] == "all"
            allowed.discard("escalate")
            status, _ = await ask.as_user("jane", "g")(
                "POST", rbac, role | {"metadata": {"name": "b"}}
            )
            assert status == 403
            assert (await ask.must("POST", reviews, review))["status"]["allowed"]
            applied = {"content-type": "application/apply-patch+yaml"}
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
            path = f"{MAPS}/a?fieldManager=m"
            assert (await jane("PATCH", path, made, applied))[0] == 201
            allowed.remove("create")
            made["metadata"] = {"name": "b"}
            path = f"{MAPS}/b?fieldManager=m"
            status, answer = await jane("PATCH", path, made, applied)
            assert (status, "cannot create resource" in answer["message"]) == (403, True)
            rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
            spec = {"kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}}
            hook.decide = lambda _: YES
            found = (await ask.as_user("jim").must("POST", rules, spec))["status"]
            assert found["incomplete"]
            assert found["evaluationError"] == (
                "webhook authorizer does not support user rule resolution"
            )


async def test_another_file(asking: Any) -> None:
    async with webhook() as hook, asking(Env(), authorization=configured(hook, RBAC)) as ask:
        authorizer = ask.server.context.authorizer
        assert (await ask.as_user("jane")("GET", MAPS))[0] == 403
        await authorizer.reconfigure(configured(hook, RBAC, entry()).configuration)
        assert (await ask.as_user("jane")("GET", MAPS))[0] == 200
        with pytest.raises(ValueError, match=r"missing required types: \[RBAC\]"):
            await authorizer.reconfigure(configured(hook, entry()).configuration)
        assert (await ask.as_user("jane")("GET", MAPS))[0] == 200
        await authorizer.reconfigure(configured(hook, RBAC).configuration)
        assert (await ask.as_user("jane")("GET", MAPS))[0] == 403


# What upstream's kube-apiserver v1.36.2 says of the same files.
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "authorizers: Required value: at least one authorization mode must be defined"),
        ("- {name: a}\n", "authorizers[0].type: Required value"),
        (
            "- {type: Nope, name: a}\n",
            'authorizers[0].type: Unsupported value: "Nope": supported values: "ABAC", '
            '"AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"',
        ),
        (RBAC + RBAC, 'authorizers[1].type: Duplicate value: "RBAC"'),
        (
            "- {type: RBAC, name: other}\n",
            "expected name rbac for authorizer RBAC instead of other",
        ),
        (
            "- {type: Webhook, name: A b}\n",
            'authorizers[0].name: Invalid value: "A b": authorizer name is invalid: a lowercase '
            "RFC 1123 subdomain",
        ),
        ("- {type: Webhook, name: a}\n", "webhook: Required value: required when type=Webhook"),
        (
            "- {type: RBAC, name: rbac, webhook: {}}\n",
            'webhook: Invalid value: "non-null": may only be specified when type=Webhook',
        ),
        (
            "- {type: Webhook, name: a, webhook: {}}\n",
            "[authorizers[0].timeout: Required value, "
            "authorizers[0].subjectAccessReviewVersion: Required value, "
            "authorizers[0].failurePolicy: Required value, "
            "authorizers[0].connectionInfo.type: Required value]",
        ),
        (
            entry().replace("3s", "40s"),
            'timeout: Invalid value: "40s": must be > 0s and <= 30s',
        ),
        (
            entry().replace("/one", "one"),
            'kubeConfigFile: Invalid value: "one": must be an absolute path',
        ),
        (entry().replace("KubeConfigFile,", "InClusterConfig,"), "InClusterConfig"),
        (
            entry(conditions="{expression: 'request.user'}"),
            'matchConditions[0].expression: Invalid value: "request.user": must evaluate to bool '
            "but got string",
        ),
        (
            entry(conditions="{expression: 'request.foo'}"),
            "undefined field 'foo'",
        ),
        (
            entry(conditions="{expression: 'true'}, {expression: 'true'}, {expression: ' '}"),
            'matchConditions[1].expression: Duplicate value: "true"',
        ),
        (entry() + "    foo: 1\n", 'unknown field "authorizers[0].webhook.foo"'),
    ],
)
def test_bad_files(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:
        configuration.compiled(configuration.decode((HEAD + text).encode()))
    assert problem in str(refused.value)


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{tmp_path}/none"):
        Authorization().access(f"{tmp_path}/none")
