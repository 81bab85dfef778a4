"""What comes of webhooks' answers: changes, refusals, failures, warnings, in upstream's words."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver import hook_server
from tests.apiserver.admission.webhooks.conftest import HOOKS, MAPS, HookAsker, config_map
from tests.apiserver.hook_server import configuration, patch, rule, webhook


def added(key: str, value: str) -> dict[str, Any]:
    return patch({"op": "add", "path": f"/data/{key}", "value": value})


async def test_a_webhook_changes_what_is_stored(ask: HookAsker) -> None:
    async with hook_server.admission({"/": lambda _: added("b", "2")}) as server:
        await ask.configure(configuration("Mutating", "m", webhook("m.x.io", server.client())))
        made = await ask.must("POST", MAPS, config_map(data={"a": "1"}))
        assert made["data"] == {"a": "1", "b": "2"}
        # What admission adds has no owner.
        (entry,) = made["metadata"]["managedFields"]
        assert list(entry["fieldsV1"]["f:data"]) == [".", "f:a"]
        # Before names and times are given.
        (review,) = server.seen["/"]
        assert not {"uid", "creationTimestamp"} & review["request"]["object"]["metadata"].keys()


async def test_what_a_webhook_makes_is_defaulted_and_validated(ask: HookAsker) -> None:
    service = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "s"},
        "spec": {"clusterIP": "None"},
    }
    answers = {"/": lambda _: patch({"op": "add", "path": "/spec/ports", "value": [{"port": 80}]})}
    async with hook_server.admission(answers) as server:
        hook = webhook("m.x.io", server.client(), rules=[rule("core", "v1", "services", "CREATE")])
        await ask.configure(configuration("Mutating", "m", hook))
        path = "/api/v1/namespaces/default/services"
        made = await ask.must("POST", path, service)
        assert made["spec"]["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]
        await ask.must("DELETE", f"{path}/s")
        answers["/"] = lambda _: patch(
            {"op": "add", "path": "/spec/ports", "value": [{"port": 99999}]}
        )
    async with hook_server.admission(answers) as server:
        patched = {"webhooks": [{"name": "m.x.io", "clientConfig": server.client()}]}
        headers = {"content-type": "application/strategic-merge-patch+json"}
        await ask.must("PATCH", f"{HOOKS}/mutatingwebhookconfigurations/m", patched, headers)
        status, refused = await ask("POST", path, service)
        assert (status, refused["reason"]) == (422, "Invalid")


async def test_webhooks_follow_one_another_by_name(ask: HookAsker) -> None:
    def note(request: dict[str, Any]) -> dict[str, Any]:
        return added("seen", request["object"]["data"].get("seen", "") + "x")

    async with hook_server.admission({"/": note}) as server:
        for name in ("b", "a"):
            hooks = [webhook(f"{i}.{name}.io", server.client()) for i in "12"]
            await ask.configure(configuration("Mutating", name, *hooks))
        made = await ask.must("POST", MAPS, config_map(data={"a": "b"}))
        assert made["data"]["seen"] == "xxxx"
        seen = [review["request"]["object"]["data"].get("seen") for review in server.seen["/"]]
        assert seen == [None, "x", "xx", "xxx"]


async def test_a_change_after_it_asks_a_webhook_again(ask: HookAsker) -> None:
    def first(request: dict[str, Any]) -> dict[str, Any]:
        data = request["object"]["data"]
        return added("first", str(int(data.get("first", "0")) + 1))

    answers = {"/first": first, "/second": lambda _: added("second", "1")}
    async with hook_server.admission(answers) as server:
        again = webhook("a.x.io", server.client("/first"), reinvocationPolicy="IfNeeded")
        await ask.configure(configuration("Mutating", "a", again))
        await ask.configure(
            configuration("Mutating", "b", webhook("b.x.io", server.client("/second")))
        )
        made = await ask.must("POST", MAPS, config_map(data={"a": "b"}))
        assert made["data"] == {"a": "b", "first": "2", "second": "1"}
        assert [len(server.seen[path]) for path in ("/first", "/second")] == [2, 1]


async def test_no_change_asks_nobody_again(ask: HookAsker) -> None:
    async with hook_server.admission({"/": lambda _: {}}) as server:
        hooks = [webhook(f"{i}.x.io", server.client(), reinvocationPolicy="IfNeeded") for i in "12"]
        await ask.configure(configuration("Mutating", "a", *hooks))
        await ask.must("POST", MAPS, config_map(data={}))
        assert len(server.seen["/"]) == 2


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, " without explanation"),
    ({"status": {"message": "no"}}, 400, ": no"),
    ({"status": {"reason": "Because"}}, 400, ": Because"),
    ({"status": {"message": "no", "code": 403, "reason": "Forbidden"}}, 403, ": no"),
    ({"status": {"message": "no", "code": 200, "status": "Success"}}, 400, ": no"),
]


@pytest.mark.parametrize(("response", "code", "text"), REFUSALS)
@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_refusals(
    ask: HookAsker, kind: str, response: dict[str, Any], code: int, text: str
) -> None:
    answers = {"/": lambda _: {"allowed": False, **response}}
    async with hook_server.admission(answers) as server:
        # The failure policy is about failures only.
        hook = webhook("w.x.io", server.client(), failurePolicy="Ignore")
        await ask.configure(configuration(kind, "c", hook))
        status, got = await ask("POST", MAPS, config_map())
        assert (status, got["code"], got["status"]) == (code, code, "Failure")
        assert got["message"] == f'admission webhook "w.x.io" denied the request{text}'
        assert got.get("reason", "") == response.get("status", {}).get("reason", "")


def text_answer(text: str, status: int = 200, media: str = "application/json") -> Any:
    return lambda _: web.Response(text=text, status=status, content_type=media)


def review(**response: Any) -> str:
    return json.dumps(
        {
            "kind": "AdmissionReview",
            "apiVersion": "admission.k8s.io/v1",
            "response": {"uid": "?", "allowed": True, **response},
        }
    )


FAILURES: list[tuple[Any, str]] = [
    (
        text_answer("broken", 500, "text/plain"),
        'failed to call webhook: an error on the server ("broken") has prevented the request from '
        "succeeding",
    ),
    (
        text_answer("", 404, "text/plain"),
        "failed to call webhook: the server could not find the requested resource",
    ),
    (
        text_answer(review()),
        'received invalid webhook response: expected response.uid="UID", got "?"',
    ),
    (
        text_answer('{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}'),
        "received invalid webhook response: webhook response was absent",
    ),
]


@pytest.mark.parametrize(("answer", "text"), FAILURES)
@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_failures(ask: HookAsker, kind: str, answer: Any, text: str) -> None:
    async with hook_server.admission({"/": answer}) as server:
        hook = webhook("w.x.io", server.client())
        await ask.configure(configuration(kind, "c", hook))
        status, got = await ask("POST", MAPS, config_map())
        uid = server.seen["/"][0]["request"]["uid"]
        prefix = 'Internal error occurred: failed calling webhook "w.x.io": '
        assert (status, got["reason"]) == (500, "InternalError")
        assert got["message"] == prefix + text.replace("UID", uid)
        headers = {"content-type": "application/strategic-merge-patch+json"}
        ignored = {"webhooks": [{"name": "w.x.io", "failurePolicy": "Ignore"}]}
        plural = f"{kind.lower()}webhookconfigurations"
        await ask.must("PATCH", f"{HOOKS}/{plural}/c", ignored, headers)
        await ask.must("POST", MAPS, config_map())


PATCHES: list[tuple[dict[str, Any], str]] = [
    (
        {"patch": "W10=", "patchType": ""},
        'received invalid webhook response: webhook returned invalid response.patchType of ""',
    ),
    (
        {"patchType": "JSONPatch"},
        "received invalid webhook response: webhook returned response.patchType but not "
        "response.patch",
    ),
    (
        {"patch": "W10="},
        "received invalid webhook response: webhook returned response.patch but not "
        "response.patchType",
    ),
    (
        {**patch({"op": "remove", "path": "/data"}), "patchType": "Other"},
        'unsupported patch type "Other"',
    ),
]


@pytest.mark.parametrize(("response", "text"), PATCHES)
async def test_bad_patches(ask: HookAsker, response: dict[str, Any], text: str) -> None:
    async with hook_server.admission({"/": lambda _: response}) as server:
        await ask.configure(configuration("Mutating", "c", webhook("w.x.io", server.client())))
        status, got = await ask("POST", MAPS, config_map(data={"a": "b"}))
        assert status == 500
        prefix = 'Internal error occurred: failed calling webhook "w.x.io": '
        assert got["message"] == prefix + text


async def test_a_validating_webhook_may_not_patch(ask: HookAsker) -> None:
    async with hook_server.admission({"/": lambda _: added("a", "b")}) as server:
        await ask.configure(configuration("Validating", "c", webhook("w.x.io", server.client())))
        status, got = await ask("POST", MAPS, config_map(data={}))
        assert status == 500
        assert got["message"].endswith("validating webhook may not return response.patch")


async def test_a_deletion_cannot_be_patched(ask: HookAsker) -> None:
    await ask.must("POST", MAPS, config_map(data={}))
    async with hook_server.admission({"/": lambda _: added("a", "b")}) as server:
        await ask.configure(configuration("Mutating", "c", webhook("w.x.io", server.client())))
        status, got = await ask("DELETE", f"{MAPS}/m")
        assert (status, got["message"]) == (
            500,
            'Internal error occurred: admission webhook "w.x.io" attempted to modify the object, '
            "which is not supported for this operation",
        )


async def test_a_dry_run_asks_only_what_has_no_effect(ask: HookAsker) -> None:
    async with hook_server.admission({"/": lambda _: {}}) as server:
        hook = webhook(
            "w.x.io",
            server.client(),
            sideEffects="Some",
            admissionReviewVersions=["v1beta1"],
            failurePolicy="Ignore",
        )
        # v1 takes no more such webhooks; they are there in clusters that were updated.
        path = f"{HOOKS}/validatingwebhookconfigurations"
        status, _ = await ask("POST", path, configuration("Validating", "c", hook))
        assert status == 422
        hook["sideEffects"] = "NoneOnDryRun"
        await ask.configure(configuration("Validating", "c", hook))
        await ask.must("POST", f"{MAPS}?dryRun=All", config_map())
        (seen,) = server.seen["/"]
        assert seen["request"]["dryRun"] is True
        assert seen["apiVersion"] == "admission.k8s.io/v1beta1"


async def test_warnings_and_audit_annotations(ask: HookAsker) -> None:
    answers = {"/": lambda _: {"warnings": ["w1", "w1", "w2"], "auditAnnotations": {"k": "v"}}}
    async with hook_server.admission(answers) as server:
        await ask.configure(configuration("Validating", "c", webhook("w.x.io", server.client())))
        answer = await ask.answer("POST", MAPS, config_map())
        assert answer.warnings == ['299 - "w1"', '299 - "w2"']


async def test_a_slow_webhook_is_waited_for_as_long_as_it_says(ask: HookAsker) -> None:
    async def never(_: dict[str, Any]) -> Any:
        await asyncio.Event().wait()

    async with hook_server.admission({"/": never}) as server:
        hook = webhook("w.x.io", server.client("/"), timeoutSeconds=1)
        await ask.configure(configuration("Mutating", "c", hook))
        status, got = await ask("POST", MAPS, config_map())
        assert (status, got["message"]) == (
            500,
            'Internal error occurred: failed calling webhook "w.x.io": failed to call webhook: '
            f'Post "https://127.0.0.1:{server.port}/?timeout=1s": context deadline exceeded',
        )


async def test_validating_webhooks_are_asked_at_once(ask: HookAsker) -> None:
    waiting = 0
    all_there = asyncio.Event()

    async def together(_: dict[str, Any]) -> Any:
        nonlocal waiting
        waiting += 1
        if waiting == 3:
            all_there.set()
        await all_there.wait()
        return {}

    async with hook_server.admission({"/": together}) as server:
        hooks = [webhook(f"{i}.x.io", server.client()) for i in "123"]
        await ask.configure(configuration("Validating", "c", *hooks))
        await ask.must("POST", MAPS, config_map())


async def test_a_failed_match_condition_fails_the_request(ask: HookAsker) -> None:
    async with hook_server.admission({"/": lambda _: {}}) as server:
        condition = {"name": "c", "expression": "object.nothing == 1"}
        hook = webhook("w.x.io", server.client(), matchConditions=[condition])
        await ask.configure(configuration("Validating", "c", hook))
        status, got = await ask("POST", MAPS, config_map())
        assert (status, got["message"]) == (
            403,
            "configmaps \"m\" is forbidden: expression 'object.nothing == 1' resulted in error: no "
            "such key: nothing",
        )
        assert "/" not in server.seen


async def test_a_service_that_is_not_there(ask: HookAsker) -> None:
    client = {"service": {"namespace": "default", "name": "s", "path": "/p"}}
    await ask.configure(configuration("Validating", "c", webhook("w.x.io", client)))
    status, got = await ask("POST", MAPS, config_map())
    assert (status, got["message"]) == (
        500,
        'Internal error occurred: failed calling webhook "w.x.io": failed to call webhook: Post '
        '"https://s.default.svc:443/p?timeout=10s": service "s" not found',
    )


async def test_a_scale_is_changed_by_a_webhook(ask: HookAsker) -> None:
    deployment = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    path = "/apis/apps/v1/namespaces/default/deployments"
    await ask.must("POST", path, deployment)
    answers = {"/": lambda _: patch({"op": "replace", "path": "/spec/replicas", "value": 2})}
    async with hook_server.admission(answers) as server:
        hook = webhook("m.x.io", server.client(), rules=[rule("apps", "v1", "deployments/scale")])
        await ask.configure(configuration("Mutating", "m", hook))
        headers = {"content-type": "application/merge-patch+json"}
        got = await ask.must("PATCH", f"{path}/d/scale", {"spec": {"replicas": 9}}, headers)
        assert got["spec"]["replicas"] == 2


async def test_calls_are_counted(ask: HookAsker) -> None:
    registry = ask.server.context.env.metrics

    def count(metric: str, /, **labels: str) -> float | None:
        return registry.get_sample_value(f"apiserver_admission_webhook_{metric}", labels)

    answers = {"/": lambda asked: {"allowed": asked["object"]["metadata"]["name"] != "bad"}}
    async with hook_server.admission(answers) as server:
        hook = webhook("w.x.io", server.client(), failurePolicy="Ignore")
        await ask.configure(configuration("Validating", "c", hook))
        await ask.must("POST", MAPS, config_map("good"))
        await ask("POST", MAPS, config_map("bad"))
    await ask.must("POST", MAPS, config_map("open"))
    base = {"name": "w.x.io", "type": "validating", "operation": "CREATE"}
    assert count("request_total", **base, code="200", rejected="false") == 1
    assert count("request_total", **base, code="400", rejected="true") == 1
    assert count("request_total", **base, code="503", rejected="false") == 1
    assert count("rejection_count", **base, error_type="no_error", rejection_code="400") == 1
    assert count("fail_open_count", name="w.x.io", type="validating") == 1
    assert count("admission_duration_seconds_count", **base, rejected="false") == 2
