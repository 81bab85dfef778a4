"""What is written of which request."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver import wire

from trireme.apiserver.audit import policy
from trireme.apiserver.request import Request, User, parse
from trireme.apiserver.settings.audit import Audit, LogSettings
from trireme.apiserver.settings.authentication import Authentication
from trireme.kit.env import Env

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
MAPS = "/api/v1/namespaces/default/configmaps"
MADE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}


def audit(tmp_path: Path, rules: str, **more: Any) -> Audit:
    log = LogSettings(tmp_path / "audit.log", **more)
    return Audit(policy.decode((HEAD + rules).encode()), log)


def events(tmp_path: Path) -> list[Any]:
    path = tmp_path / "audit.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def stages(found: Iterable[Any]) -> list[str]:
    return [event["stage"] for event in found]


async def test_metadata(asking: Any, tmp_path: Path) -> None:
    async with asking(Env(), audit=audit(tmp_path, "rules: [{level: Metadata}]")) as ask:
        headers = {"user-agent": "me", "x-forwarded-for": "192.0.2.1, x", "audit-id": "an-id"}
        await ask.as_user("jane", "devs")("POST", f"{MAPS}?dryRun=All", MADE, headers)
    received, complete = events(tmp_path)
    assert stages((received, complete)) == ["RequestReceived", "ResponseComplete"]
    assert received.pop("stageTimestamp") >= received.pop("requestReceivedTimestamp")
    assert received == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "an-id",
        "stage": "RequestReceived",
        "requestURI": f"{MAPS}?dryRun=All",
        "verb": "create",
        "user": {"username": "jane", "groups": ["devs", "system:authenticated"]},
        "sourceIPs": ["192.0.2.1"],
        "userAgent": "me",
        "objectRef": {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"},
    }
    status = complete["responseStatus"]
    assert (status["code"], status["status"], status["reason"]) == (403, "Failure", "Forbidden")
    assert complete["annotations"] == {
        "authorization.k8s.io/decision": "forbid",
        "authorization.k8s.io/reason": "",
    }
    assert "requestObject" not in complete


async def test_objects(asking: Any, tmp_path: Path) -> None:
    rules = "rules: [{level: RequestResponse, omitStages: [RequestReceived]}]"
    async with asking(Env(), audit=audit(tmp_path, rules)) as ask:
        made = await ask.must("POST", MAPS, MADE)
        patched = {"content-type": "application/merge-patch+json"}
        await ask("PATCH", f"{MAPS}/a", {"data": {"k": "w"}}, patched)
        accepted = {"accept": "application/vnd.kubernetes.protobuf"}
        await ask.answer("GET", f"{MAPS}/a", None, accepted)
        await ask("GET", f"{MAPS}/none")
        await ask("DELETE", f"{MAPS}/a", {"gracePeriodSeconds": 0})
        await ask("GET", "/version")
    create, patch, proto, get, delete, version = events(tmp_path)
    assert proto["responseObject"] == patch["responseObject"]
    assert create["requestObject"] == MADE
    assert create["responseObject"] == made
    assert create["objectRef"]["name"] == "a"
    assert create["responseStatus"] == {"metadata": {}, "code": 201}
    assert create["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert patch["requestObject"] == {"data": {"k": "w"}}
    assert patch["responseObject"]["data"] == {"k": "w"}
    assert get["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "kind": "configmaps"},
        "code": 404,
    }
    options = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/__internal"}
    assert delete["requestObject"] == options | {"gracePeriodSeconds": 0}
    assert (delete["responseStatus"]["status"], delete["responseStatus"]["code"]) == (
        "Success",
        200,
    )
    assert "objectRef" not in version
    assert "responseObject" not in version


async def test_managed_fields_can_be_left_out(asking: Any, tmp_path: Path) -> None:
    rules = "omitManagedFields: true\nrules: [{level: RequestResponse}]"
    async with asking(Env(), audit=audit(tmp_path, rules)) as ask:
        made = await ask.must("POST", MAPS, MADE)
        await ask.must("PUT", f"{MAPS}/a", made)
        await ask("GET", MAPS)
    assert made["metadata"]["managedFields"]
    assert "managedFields" not in (tmp_path / "audit.log").read_text()


async def test_levels_and_stages(asking: Any, tmp_path: Path) -> None:
    rules = """
omitStages: [RequestReceived]
rules:
- {level: None, users: [quiet]}
- {level: None, nonResourceURLs: [/healthz*, /version]}
- {level: Request, resources: [{group: "", resources: [secrets]}], verbs: [create]}
- {level: Metadata, namespaces: [default]}
"""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque"}
    async with asking(Env(), audit=audit(tmp_path, rules)) as ask:
        await ask.as_user("quiet")("GET", MAPS)
        await ask("GET", "/version")
        await ask("GET", "/api/v1/nodes")
        await ask("POST", "/api/v1/namespaces/default/secrets", secret)
        await ask("POST", MAPS, MADE)
    secrets, maps = events(tmp_path)
    assert (secrets["level"], secrets["requestObject"]["metadata"]) == ("Request", {"name": "s"})
    assert "responseObject" not in secrets
    assert (maps["level"], "requestObject" in maps) == ("Metadata", False)


async def test_who_is_impersonated(asking: Any, tmp_path: Path) -> None:
    async with asking(Env(), audit=audit(tmp_path, "rules: [{level: Metadata}]")) as ask:
        await ask("GET", MAPS, None, {"impersonate-user": "joe"})
    received, complete = events(tmp_path)
    assert "impersonatedUser" not in received
    assert complete["user"]["username"] == "admin"
    constraint = {"impersonationConstraint": "impersonate:user-info"}
    assert complete["authenticationMetadata"] == constraint
    assert complete["impersonatedUser"] == {"username": "joe", "groups": ["system:authenticated"]}


async def test_a_bad_credential_is_written(asking: Any, tmp_path: Path) -> None:
    async with asking(Env(), audit=audit(tmp_path, "rules: [{level: Metadata}]")) as ask:
        await ask.unknown()("GET", MAPS, None, {"authorization": "Bearer secret"})
    (event,) = events(tmp_path)
    assert event["stage"] == "ResponseStarted"
    assert event["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }
    assert event["user"] == {}
    assert "secret" not in json.dumps(event)


async def test_a_fault_of_ours_is_a_panic(
    asking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    async with asking(Env(), audit=audit(tmp_path, "rules: [{level: Metadata}]")) as ask:
        monkeypatch.setattr("trireme.apiserver.dispatch.dispatch", broken)
        await ask("GET", MAPS)
    _, event = events(tmp_path)
    assert event["stage"] == "Panic"
    assert event["responseStatus"]["message"] == "APIServer panic'd: broken"
    assert event["responseStatus"]["code"] == 500


async def test_a_watch_has_three_stages(tmp_path: Path, caplog: Any) -> None:
    settings = audit(tmp_path, "rules: [{level: Metadata, verbs: [watch]}]")
    async with wire.served(caplog, audit=settings) as site:
        made = await site.wire()
        made.send(wire.request("GET", f"{MAPS}?watch=1&timeoutSeconds=1"))
        assert (await made.answer())[0] == 200
        made.close()
    found = events(tmp_path)
    assert stages(found) == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
    assert len({event["auditID"] for event in found}) == 1
    assert found[0]["sourceIPs"] == ["127.0.0.1"]
    assert found[1]["responseStatus"] == {"metadata": {}, "code": 200}


async def test_a_client_that_goes_is_written(asking: Any, tmp_path: Path) -> None:
    async with asking(Env(), audit=audit(tmp_path, "rules: [{level: Metadata}]")) as ask:
        request = Request("POST", MAPS, user=User("jane"))
        assert ask.server.context.audit.received(request) is None
        request.close()
    received, complete = events(tmp_path)
    assert stages((received, complete)) == ["RequestReceived", "ResponseComplete"]
    assert complete["responseStatus"]["message"] == "Connection closed early"


async def test_the_answer_has_the_events_id(tmp_path: Path, caplog: Any) -> None:
    settings = audit(tmp_path, "rules: [{level: Metadata, verbs: [list], namespaces: [default]}]")
    async with wire.served(caplog, audit=settings) as site:
        made = await site.wire()
        made.send(wire.request("GET", MAPS))
        _, headers, _ = await made.answer()
    assert {event["auditID"] for event in events(tmp_path)} == {headers["audit-id"]}


async def test_without_a_policy_nothing_is_made(asking: Any) -> None:
    async with asking(Env()) as ask:
        assert ask.server.context.audit is None


POLICY = policy.decode(
    (
        HEAD
        + """
rules:
- {level: Metadata, users: [a], verbs: [get]}
- {level: Metadata, userGroups: [g], resources: [{group: apps, resources: ["*/scale"]}]}
- {level: Metadata, resources: [{group: "", resources: [pods/*], resourceNames: [x]}]}
- {level: Metadata, resources: [{group: "*", resources: [events]}], namespaces: ["", b]}
- {level: Metadata, resources: [{group: batch}]}
- {level: Metadata, nonResourceURLs: [/x/*, /y]}
"""
    ).encode()
)


@pytest.mark.parametrize(
    ("method", "path", "user", "fits"),
    [
        ("GET", "/api/v1/nodes/n", User("a"), True),
        ("DELETE", "/api/v1/nodes/n", User("a"), False),
        ("GET", "/apis/apps/v1/namespaces/d/deployments/x/scale", User("b", groups=("g",)), True),
        ("GET", "/apis/apps/v1/namespaces/d/deployments/x", User("b", groups=("g",)), False),
        ("GET", "/apis/apps/v1/namespaces/d/deployments/x/scale", User("b"), False),
        ("POST", "/api/v1/namespaces/d/pods/x/exec", User("b"), True),
        ("GET", "/api/v1/namespaces/d/pods/x", User("b"), True),
        ("GET", "/api/v1/namespaces/d/pods/y", User("b"), False),
        ("GET", "/apis/events.k8s.io/v1/events", User("b"), True),
        ("GET", "/api/v1/namespaces/b/events", None, True),
        ("GET", "/api/v1/namespaces/c/events", None, False),
        ("GET", "/apis/batch/v1/jobs", None, True),
        ("GET", "/x/y", None, True),
        ("GET", "/y", None, True),
        ("GET", "/y/z", None, False),
    ],
)
def test_the_first_rule_that_fits(method: str, path: str, user: User | None, fits: bool) -> None:
    config = policy.Evaluator(POLICY).evaluate(user, parse(method, path, {}))
    assert bool(config.level) is fits


# What upstream's kube-apiserver v1.36.2 says of the same files.
@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("rules: [{}]", "rules[0].level: Required value"),
        (
            "rules: [{level: All}]",
            'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", '
            '"Request", "RequestResponse"',
        ),
        (
            "rules: [{level: None, nonResourceURLs: [x, /a*b]}]",
            '[rules[0].nonResourceURLs[0]: Invalid value: "x": non-resource URL rules must begin '
            "with a '/' character, "
            "rules[0].nonResourceURLs[1]: Invalid value: \"/a*b\": non-resource URL wildcards '*' "
            "must be the final character of the rule]",
        ),
        (
            "rules: [{level: None, nonResourceURLs: [/x], namespaces: [a]}]",
            'Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource',
        ),
        (
            "rules: [{level: None, resources: [{group: a/v1}]}]",
            'rules[0].resources.group: Invalid value: "a/v1"',
        ),
        (
            "rules: [{level: None, resources: [{group: a, resourceNames: [b]}]}]",
            'Invalid value: ["b"]: using resourceNames requires at least one resource',
        ),
        (
            "omitStages: [All]",
            'omitStages[0]: Invalid value: "All": allowed stages are RequestReceived,'
            "ResponseStarted,ResponseComplete,Panic",
        ),
        ("rule: []", 'unknown field "rule"'),
    ],
)
def test_bad_policies(rules: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:
        policy.decode((HEAD + rules).encode())
    assert problem in str(refused.value)


async def test_a_static_token_is_never_written(tmp_path: Path, caplog: Any) -> None:
    settings = audit(tmp_path, "rules: [{level: RequestResponse}]")
    tokens = Authentication(static_tokens={wire.TOKEN: ("admin", "1", ("system:masters",))})
    async with wire.served(caplog, audit=settings, authentication=tokens) as site:
        await site.ask("GET", MAPS)
    text = (tmp_path / "audit.log").read_text()
    assert "admin" in text
    assert wire.TOKEN not in text
