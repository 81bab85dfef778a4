"""Admission policies and their bindings: rules, expressions, status, rows, other versions."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.admissionregistration.v1 import (
    mutatingadmissionpolicy,
    mutatingadmissionpolicybinding,
    validatingadmissionpolicy,
    validatingadmissionpolicybinding,
)
from trireme.api.admissionregistration.v1alpha1 import (
    mutatingadmissionpolicybinding as alpha_binding,
)
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 3600
META = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
RULE = {"operations": ["CREATE"], "apiGroups": ["a"], "apiVersions": ["v1"], "resources": ["b"]}
GROUP = "admissionregistration.k8s.io"
VALIDATING = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": META,
    "spec": {
        "matchConstraints": {"resourceRules": [RULE]},
        "variables": [{"name": "n", "expression": "1 + 1"}],
        "validations": [{"expression": "object.x > variables.n"}],
    },
}
MUTATING = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "MutatingAdmissionPolicy",
    "metadata": META,
    "spec": {
        "matchConstraints": {"resourceRules": [RULE]},
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": "Object{spec: Object.spec{x: 1}}"},
            }
        ],
        "reinvocationPolicy": "Never",
    },
}
BINDING = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": META,
    "spec": {"policyName": "p", "validationActions": ["Deny"]},
}
FIRST = "spec.validations[0]"
VALIDATIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "nothing to do",
        {"spec.validations": []},
        [
            "spec.validations: Required value: validations or auditAnnotations must contain at "
            "least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain "
            "at least one item",
        ],
    ),
    (
        "nothing to match",
        {"spec.matchConstraints": REMOVED},
        ["spec.matchConstraints: Required value"],
    ),
    (
        "no rule",
        {"spec.matchConstraints.resourceRules": []},
        ["spec.matchConstraints.resourceRules: Required value"],
    ),
    (
        "not a bool",
        {"spec.validations.0.expression": "variables.n"},
        [f'{FIRST}.expression: Invalid value: "variables.n": must evaluate to bool but got int'],
    ),
    (
        "variables have types",
        {"spec.validations.0.expression": "variables.n == 'a'"},
        [
            f"{FIRST}.expression: Invalid value: \"variables.n == 'a'\": compilation failed: "
            "ERROR: <input>:1:13: found no matching overload for '_==_'..."
        ],
    ),
    (
        "a variable of its own",
        {"spec.variables.0.expression": "variables.n"},
        ['spec.variables[0].expression: Invalid value: "variables.n": compilation failed: ...'],
    ),
    (
        "variable's name",
        {"spec.variables.0.name": "in"},
        [
            'spec.variables[0].name: Invalid value: "in": must be a valid CEL identifier',
            f'{FIRST}.expression: Invalid value: "object.x > variables.n": compilation failed: ...',
        ],
    ),
    (
        "no authorizer in messages",
        {"spec.validations.0.messageExpression": "authorizer.path('a').check('get').reason()"},
        [f"{FIRST}.messageExpression: Invalid value: ..."],
    ),
    (
        "message",
        {"spec.validations.0.message": "a\nb", "spec.validations.0.reason": "x"},
        [
            f'{FIRST}.message: Invalid value: "a\\nb": must not contain line breaks',
            f'{FIRST}.reason: Unsupported value: "x": supported values: "Forbidden", "Invalid", '
            '"RequestEntityTooLarge"',
        ],
    ),
    (
        "annotations",
        {
            "spec.auditAnnotations": [
                {"key": "a", "valueExpression": "null"},
                {"key": "a", "valueExpression": "1"},
            ]
        },
        [
            'spec.auditAnnotations[1].valueExpression: Invalid value: "1": '
            "must evaluate to one of [string null_type] but got int",
            'spec.auditAnnotations[1].key: Duplicate value: "a"',
        ],
    ),
    (
        "request's types",
        {"spec.validations.0.expression": "request.kind.group == 3"},
        [f'{FIRST}.expression: Invalid value: "request.kind.group == 3": compilation failed: ...'],
    ),
    (
        "parameters",
        {
            "spec.paramKind": {"apiVersion": "a/b/c", "kind": "A_"},
            "spec.validations.0.expression": "params.x",
        },
        [
            'spec.paramKind.apiVersion: Invalid value: "a/b/c": '
            "unexpected GroupVersion string: a/b/c",
            'spec.paramKind.kind: Invalid value: "A_": may have mixed case, but should...',
            f'{FIRST}.expression: Invalid value: "params.x": must evaluate to bool but got dyn',
        ],
    ),
]
MUTATIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "none",
        {"spec.mutations": []},
        ["spec.mutations: Required value: mutations must contain at least one item"],
    ),
    (
        "deletions",
        {"spec.matchConstraints.resourceRules.0.operations": ["DELETE"]},
        [
            'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": '
            'supported values: "*", "CONNECT", "CREATE", "UPDATE"'
        ],
    ),
    (
        "another object",
        {"spec.mutations.0.applyConfiguration.expression": "Object.spec{}"},
        [
            'spec.mutations[0].applyConfiguration.expression: Invalid value: "Object.spec{}": '
            "must evaluate to Object but got Object.spec"
        ],
    ),
    (
        "patches",
        {
            "spec.mutations.0": {
                "patchType": "JSONPatch",
                "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/a', value: 1}]"},
            }
        },
        [],
    ),
    (
        "not patches",
        {"spec.mutations.0": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[1]"}}},
        [
            'spec.mutations[0].jsonPatch.expression: Invalid value: "[1]": '
            "must evaluate to list(JSONPatch) but got list(int)"
        ],
    ),
    (
        "the other form",
        {"spec.mutations.0.patchType": "JSONPatch"},
        [
            "spec.mutations[0].jsonPatch: Required value: "
            "must be specified when patchType is JSONPatch",
            'spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": '
            "must not be specified when patchType is JSONPatch",
        ],
    ),
    (
        "again",
        {"spec.reinvocationPolicy": ""},
        ["spec.reinvocationPolicy: Required value"],
    ),
]
BINDINGS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no policy", {"spec.policyName": ""}, ["spec.policyName: Required value"]),
    (
        "no action",
        {"spec.validationActions": []},
        ["spec.validationActions: Required value: at least one validation action is required"],
    ),
    (
        "twice the same",
        {"spec.validationActions": ["Deny", "Warn", "Warn"]},
        [
            'spec.validationActions[2]: Duplicate value: "Warn"',
            "spec.validationActions: Invalid value: ...",
        ],
    ),
    (
        "name and selector",
        {"spec.paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "x"}},
        [
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            'spec.paramRef.parameterNotFoundAction: Unsupported value: "x": '
            'supported values: "Deny", "Allow"',
        ],
    ),
    (
        "neither",
        {"spec.paramRef": {}},
        [
            "spec.paramRef: Required value: one of name or selector must be specified",
            "spec.paramRef.parameterNotFoundAction: Required value",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "errors"), [case[1:] for case in VALIDATIONS])
def test_validating(changes: dict[str, Any], errors: list[str]) -> None:
    resource = validatingadmissionpolicy.RESOURCE
    found = validation.create(resource, changed(VALIDATING, changes))
    assert validation.agrees(found, errors), found
    found = validation.update(resource, changed(VALIDATING, changes), VALIDATING)
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(("changes", "errors"), [case[1:] for case in MUTATIONS])
def test_mutating(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(mutatingadmissionpolicy.RESOURCE, changed(MUTATING, changes))
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(("changes", "errors"), [case[1:] for case in BINDINGS])
def test_bindings(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(validatingadmissionpolicybinding.RESOURCE, changed(BINDING, changes))
    assert validation.agrees(found, errors), found


def test_status() -> None:
    checked = {"expressionWarnings": [{"fieldRef": "spec.validations[0]", "warning": "w"}, {}]}
    new = {**VALIDATING, "status": {"typeChecking": checked}}
    labelled = changed(new, {"metadata.labels": {"a": "b"}})
    resource = validatingadmissionpolicy.RESOURCE
    where = "status.typeChecking.expressionWarnings[1]"
    assert validation.update(resource, labelled, VALIDATING, "status") == [
        f"{where}.warning: Required value",
        f"{where}.fieldRef: Required value",
    ]


def test_rows() -> None:
    policy = validatingadmissionpolicy.RESOURCE
    with_kind = changed(VALIDATING, {"spec.paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}})
    assert policy.row(validation.load(policy, VALIDATING), NOW) == ["x", 1, "<unset>", "60m"]
    assert policy.row(validation.load(policy, with_kind), NOW)[2] == "v1/ConfigMap"
    binding = validatingadmissionpolicybinding.RESOURCE
    selected = changed(BINDING, {"spec.paramRef": {"selector": {"matchLabels": {"a": "b"}}}})
    assert binding.row(validation.load(binding, selected), NOW)[1:3] == [
        "p",
        "&LabelSelector{MatchLabels:map[string]string{a: b,},"
        "MatchExpressions:[]LabelSelectorRequirement{},}",
    ]


def test_alpha_denies_without_parameters() -> None:
    manifest = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": META,
        "spec": {"policyName": "p", "paramRef": {"name": "a"}},
    }
    alpha = alpha_binding.RESOURCE
    assert alpha.stored_as is not None
    stored = alpha.stored_as.to_stored(validation.load(alpha, manifest))
    assert stored.spec.paramRef.parameterNotFoundAction == "Deny"
    assert alpha.stored_as.stored is mutatingadmissionpolicybinding.RESOURCE
    assert alpha.stored_as.from_stored(stored) == validation.load(alpha, manifest)
