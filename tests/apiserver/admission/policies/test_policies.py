"""Admission policies at the real server: when they act, what they note, whom they spare."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.apiserver.test_reading import ADMIN, MAPS, Api, config_map

from trireme.apiserver import chain
from trireme.apiserver.forked import estimate, parent
from trireme.apiserver.request import Request
from trireme.testing import control_plane

GROUP = "admissionregistration.k8s.io/v1"
POLICIES = f"/apis/{GROUP}/validatingadmissionpolicies"
BINDINGS = f"/apis/{GROUP}/validatingadmissionpolicybindings"
MUTATING = f"/apis/{GROUP}/mutatingadmissionpolicies"
MUTATING_BINDINGS = f"/apis/{GROUP}/mutatingadmissionpolicybindings"
FAILURE = "validation.policy.admission.k8s.io/validation_failure"
RULE = {
    "apiGroups": ["*"],
    "apiVersions": ["*"],
    "operations": ["*"],
    "resources": ["*"],
}


@asynccontextmanager
async def api(**config: Any) -> AsyncIterator[Api]:
    async with control_plane.api_server(**config) as server:
        yield Api(server)


def policy(name: str, *expressions: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [RULE]},
            "validations": [{"expression": text} for text in expressions],
        }
        | spec,
    }


def binding(policy: str, name: str = "", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name or f"{policy}-b"},
        "spec": {"policyName": policy, "validationActions": ["Deny"]} | spec,
    }


def mutating(name: str, expression: str) -> list[dict[str, Any]]:
    rule = RULE | {"operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    mutation = {
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {"expression": expression},
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "mutations": [mutation],
        "reinvocationPolicy": "Never",
    }
    head = {"apiVersion": GROUP, "metadata": {"name": name}}
    bound = {"kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": name}}
    return [head | {"kind": "MutatingAdmissionPolicy", "spec": spec}, head | bound]


async def must(ask: Api, path: str, body: dict[str, Any]) -> None:
    status, answer = await ask("POST", path, body)
    assert status == 201, answer


async def annotated(ask: Api, body: dict[str, Any]) -> dict[str, str]:
    """What a creation notes for its audit event."""
    request = Request("POST", MAPS, "", {}, json.dumps(body).encode(), user=ADMIN)
    await chain.handle(ask.server, request)
    return request.annotations


async def test_in_force_from_the_binding_on_until_one_of_the_two_goes() -> None:
    async with api() as ask:
        await must(ask, POLICIES, policy("p", "object.data.k == 'w'"))
        await ask.make("a")
        await must(ask, BINDINGS, binding("p"))
        assert (await ask("POST", MAPS, config_map("b")))[0] == 422
        changed = policy("p", "object.data.k == 'v'")
        _, stored = await ask("GET", f"{POLICIES}/p")
        changed["metadata"] = stored["metadata"]
        assert (await ask("PUT", f"{POLICIES}/p", changed))[0] == 200
        await ask.make("c")
        assert (await ask("DELETE", f"{MAPS}/c"))[0] == 422, "there is no object"
        assert (await ask("DELETE", f"{BINDINGS}/p-b"))[0] == 200
        assert (await ask("DELETE", f"{MAPS}/c"))[0] == 200


async def test_no_policy_locks_itself_in_and_no_review_is_refused() -> None:
    async with api() as ask:
        await must(ask, POLICIES, policy("p", "false"))
        await must(ask, BINDINGS, binding("p"))
        await must(ask, BINDINGS, binding("p", "more"))
        status, _ = await ask(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}},
        )
        assert status == 201
        status, _ = await ask(
            "POST",
            f"/apis/{GROUP}/validatingwebhookconfigurations",
            {"metadata": {"name": "w"}},
        )
        assert status == 422, "those of webhooks are not spared"
        for path in (f"{BINDINGS}/more", f"{BINDINGS}/p-b", f"{POLICIES}/p"):
            assert (await ask("DELETE", path))[0] == 200


async def test_violations_and_values_are_noted_for_audit() -> None:
    spec = {
        "validations": [{"expression": "true"}, {"expression": "false", "message": 'a "b" <c>'}],
        "auditAnnotations": [{"key": "who", "valueExpression": "' x ' + object.data.k"}],
    }
    async with api() as ask:
        await must(ask, POLICIES, policy("p", **spec))
        await must(ask, BINDINGS, binding("p", validationActions=["Audit", "Warn"]))
        assert await annotated(ask, config_map("a")) == {
            "p/who": "x v",
            FAILURE: '[{"message":"a \\"b\\" \\u003cc\\u003e","policy":"p","binding":"p-b",'
            '"expressionIndex":1,"validationActions":["Audit","Warn"]}]',
        }


async def test_errors_are_noted_for_audit() -> None:
    async with api() as ask:
        await must(ask, POLICIES, policy("p", "object.data.no == ''"))
        await must(ask, BINDINGS, binding("p", validationActions=["Deny", "Audit"]))
        noted = await annotated(ask, config_map("a"))
        assert "resulted in error: no such key: no" in noted[FAILURE]


async def test_values_of_several_bindings_are_noted_once_each() -> None:
    param = {"apiVersion": "v1", "kind": "ConfigMap"}
    spec = {"auditAnnotations": [{"key": "k", "valueExpression": "'v' + string(params.data.k)"}]}
    async with api() as ask:
        for name, value in (("one", "1"), ("two", "2"), ("again", "1")):
            await must(ask, MAPS, config_map(name) | {"data": {"k": value}})
        await must(ask, POLICIES, policy("p", "true", paramKind=param, **spec))
        for name in ("one", "two", "again"):
            ref = {"name": name, "parameterNotFoundAction": "Deny"}
            await must(ask, BINDINGS, binding("p", name, paramRef=ref))
        assert await annotated(ask, config_map("a")) == {"p/k": "v1, v2"}


async def test_a_parameter_counts_as_it_is_now() -> None:
    param = {"apiVersion": "v1", "kind": "ConfigMap"}
    ref = {"name": "limits", "parameterNotFoundAction": "Allow"}
    rule = RULE | {"resources": ["secrets"]}
    async with api() as ask:
        body = policy("p", "params.data.k == 'v'", paramKind=param)
        body["spec"]["matchConstraints"] = {"resourceRules": [rule]}
        await must(ask, POLICIES, body)
        await must(ask, BINDINGS, binding("p", paramRef=ref))
        secrets = MAPS.replace("configmaps", "secrets")
        await must(ask, secrets, {"metadata": {"name": "a"}})
        await ask.make("limits")
        await must(ask, secrets, {"metadata": {"name": "b"}})
        patch = {"data": {"k": "other"}}
        await ask("PATCH", f"{MAPS}/limits", patch, media="application/merge-patch+json")
        assert (await ask("POST", secrets, {"metadata": {"name": "c"}}))[0] == 422


async def test_a_dry_run_is_changed_and_refused_all_the_same() -> None:
    async with api() as ask:
        first, bound = mutating("m", "Object{data: {'dry': string(request.dryRun)}}")
        await must(ask, MUTATING, first)
        await must(ask, MUTATING_BINDINGS, bound)
        _, made = await ask("POST", f"{MAPS}?dryRun=All", config_map("a"))
        assert made["data"] == {"k": "v", "dry": "true"}


async def test_what_a_policy_makes_is_validated() -> None:
    async with api() as ask:
        first, bound = mutating("m", "Object{metadata: Object.metadata{labels: {'a b': 'c'}}}")
        await must(ask, MUTATING, first)
        await must(ask, MUTATING_BINDINGS, bound)
        status, answer = await ask("POST", MAPS, config_map("a"))
        assert (status, answer["details"]["causes"][0]["field"]) == (422, "metadata.labels")


async def test_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "LIMIT", -1.0)
    monkeypatch.setattr(parent, "_SMALL", 0)
    async with api(forks=2) as ask:
        first, bound = mutating("m", "Object{data: {'more': 'x'}}")
        await must(ask, MUTATING, first)
        await must(ask, MUTATING_BINDINGS, bound)
        await must(ask, POLICIES, policy("p", "object.data.k == 'v'"))
        await must(ask, BINDINGS, binding("p", validationActions=["Warn"]))
        answer = await ask.raw("POST", MAPS, config_map("a") | {"data": {"k": "w"}})
        assert (answer.status, json.loads(answer.body)["data"]) == (201, {"k": "w", "more": "x"})
        assert answer.warnings == [
            "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-b': "
            "failed expression: object.data.k == 'v'\""
        ]


async def test_an_entry_that_may_be_absent() -> None:
    """Upstream's API server panics when such a policy is created."""
    async with api() as ask:
        text = "Object{data: {?'b': object.data[?'no'], ?'c': object.data[?'k']}}"
        first, bound = mutating("m", text)
        await must(ask, MUTATING, first)
        await must(ask, MUTATING_BINDINGS, bound)
        made = await ask.make("a")
        assert made["data"] == {"k": "v", "c": "v"}


async def test_a_policy_refuses_before_the_store_does() -> None:
    async with api() as ask:
        made = await ask.make("a")
        made["metadata"]["name"] = "b"
        status, answer = await ask("POST", MAPS, made)
        assert (status, answer["message"]) == (
            400, "resourceVersion should not be set on objects to be created",
        )  # fmt: skip
        await must(ask, POLICIES, policy("p", "false"))
        await must(ask, BINDINGS, binding("p"))
        assert (await ask("POST", MAPS, made))[0] == 422
