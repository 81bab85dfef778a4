"""Webhook configurations: rules of both kinds, what an update may keep, generation and rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.admissionregistration.v1 import (
    mutatingwebhookconfiguration,
    validatingwebhookconfiguration,
)
from trireme.machinery.resource import Resource
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 3600
META = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
HOOK = {
    "name": "a.b.c",
    "clientConfig": {"service": {"name": "s", "namespace": "n"}},
    "rules": [
        {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    ],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}


def configuration(kind: str) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": META,
        "webhooks": [HOOK],
    }


BOTH = (
    (validatingwebhookconfiguration.RESOURCE, configuration("Validating")),
    (mutatingwebhookconfiguration.RESOURCE, configuration("Mutating")),
)
AT = "webhooks[0]"
RULE = f"{AT}.rules[0]"
EITHER: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no name", {"name": ""}, [f"{AT}.name: Required value"]),
    (
        "short name",
        {"name": "a.b"},
        [
            f'{AT}.name: Invalid value: "a.b": should be a domain with at least three segments '
            "separated by dots"
        ],
    ),
    (
        "side effects",
        {"sideEffects": "Some"},
        [f'{AT}.sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'],
    ),
    (
        "side effects unknown",
        {"sideEffects": REMOVED},
        [f"{AT}.sideEffects: Required value: must specify one of None, NoneOnDryRun"],
    ),
    (
        "too slow",
        {"timeoutSeconds": 31},
        [
            f"{AT}.timeoutSeconds: Invalid value: 31: "
            "the timeout value must be between 1 and 30 seconds"
        ],
    ),
    (
        "two addresses",
        {"clientConfig.url": "https://h"},
        [f"{AT}.clientConfig: Required value: exactly one of url or service is required"],
    ),
    (
        "the other one is named",
        {"clientConfig.service.name": ""},
        [f"{AT}.clientConfig.service.namespace: Required value"],
    ),
    (
        "review twice",
        {"admissionReviewVersions": ["v1", "v1"]},
        [f'{AT}.admissionReviewVersions[1]: Invalid value: "v1": duplicate version'],
    ),
    (
        "review unknown",
        {"admissionReviewVersions": ["v9"]},
        [
            f'{AT}.admissionReviewVersions: Invalid value: ["v9"]: '
            "must include at least one of v1, v1beta1"
        ],
    ),
    (
        "no rule",
        {"rules": [{}]},
        [
            f"{RULE}.operations: Required value",
            f"{RULE}.apiGroups: Required value",
            f"{RULE}.apiVersions: Required value",
            f"{RULE}.resources: Required value",
        ],
    ),
    (
        "all and more",
        {"rules.0.resources": ["pods/*", "pods/status", "*/*"]},
        [
            f'{RULE}.resources[1]: Invalid value: "pods/status": '
            "if 'pods/*' is present, must not specify pods/status",
            f"{RULE}.resources: Invalid value: ...",
        ],
    ),
    (
        "conditions",
        {"matchConditions": [{"name": "a", "expression": "object.x"}, {"name": "a"}]},
        [
            f'{AT}.matchConditions[0].expression: Invalid value: "object.x": '
            "must evaluate to bool but got dyn",
            f"{AT}.matchConditions[1].expression: Required value",
            f'{AT}.matchConditions[1].name: Duplicate value: "a"',
        ],
    ),
    (
        "no parameters",
        {"matchConditions": [{"name": "a", "expression": "params.x == 1"}]},
        [f'{AT}.matchConditions[0].expression: Invalid value: "params.x == 1": compilation fai...'],
    ),
]


@pytest.mark.parametrize(("resource", "manifest"), BOTH)
@pytest.mark.parametrize(("changes", "errors"), [case[1:] for case in EITHER])
def test_create(
    resource: Resource, manifest: dict[str, Any], changes: dict[str, Any], errors: list[str]
) -> None:
    hook = changed(HOOK, changes)
    found = validation.create(resource, changed(manifest, {"webhooks": [hook]}))
    assert validation.agrees(found, errors), found


def test_an_update_keeps_what_was_not_forbidden() -> None:
    resource, manifest = BOTH[0]
    loose = changed(
        manifest,
        {"webhooks.0.sideEffects": "Some", "webhooks.0.admissionReviewVersions": ["v9"]},
    )
    assert len(validation.create(resource, loose)) == 2
    assert validation.update(resource, loose, loose) == []
    assert len(validation.update(resource, loose, manifest)) == 2


def test_only_new_conditions_are_validated() -> None:
    resource, manifest = BOTH[0]
    broken = changed(manifest, {"webhooks.0.matchConditions": [{"name": "a", "expression": "x"}]})
    assert (
        validation.update(resource, changed(broken, {"metadata.labels": {"a": "b"}}), broken) == []
    )
    assert len(validation.update(resource, broken, manifest)) == 1


def test_defaults() -> None:
    hook = validation.load(*BOTH[1]).webhooks[0]
    assert (hook.failurePolicy, hook.matchPolicy, hook.timeoutSeconds) == ("Fail", "Equivalent", 10)
    assert hook.reinvocationPolicy == "Never" and hook.rules[0].scope == "*"
    assert hook.namespaceSelector is not None and hook.clientConfig.service.port == 443


def test_row_and_generation() -> None:
    resource, manifest = BOTH[0]
    obj = validation.load(resource, manifest)
    assert resource.row(obj, NOW) == ["x", 1, "60m"]
    assert resource.generation is not None
    assert resource.generation(validation.load(resource, changed(manifest, {"webhooks": []})), obj)
    assert not resource.generation(validation.load(resource, manifest), obj)


def test_reserved_names_are_warned_of() -> None:
    resource, manifest = BOTH[0]
    obj = validation.load(resource, changed(manifest, {"metadata.name": "a.static.k8s.io"}))
    assert resource.warnings(obj, None) == [
        'metadata.name: names ending with ".static.k8s.io" are reserved for static manifest-based '
        "configurations and cannot be managed via the API"
    ]
