"""FlowSchemas and PriorityLevelConfigurations: defaults, rules, what is fixed, rows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trireme.api.flowcontrol.v1 import flowschema, mandatory, prioritylevelconfiguration
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 60
META = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
GROUP = "flowcontrol.apiserver.k8s.io/v1"
LEVEL = {
    "apiVersion": GROUP,
    "kind": "PriorityLevelConfiguration",
    "metadata": META,
    "spec": {
        "type": "Limited",
        "limited": {"limitResponse": {"type": "Queue", "queuing": {"queues": 16, "handSize": 4}}},
    },
}
LIMITED, QUEUING = "spec.limited", "spec.limited.limitResponse.queuing"
NOT_NEGATIVE = "must be a non-negative integer"
LEVELS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("exempt by another name", {"spec": {"type": "Exempt"}}, ["spec.type: Invalid value: ..."]),
    (
        "unknown type",
        {"spec.type": "x"},
        ['spec.type: Unsupported value: "x": supported values: "Exempt", "Limited"'],
    ),
    (
        "no limits",
        {LIMITED: REMOVED},
        [f"{LIMITED}: Required value: must not be empty when type is Limited"],
    ),
    (
        "limited and exempt",
        {"spec.exempt": {}},
        ["spec.exempt: Forbidden: must be nil if the type is Limited"],
    ),
    (
        "numbers out of bounds",
        {
            f"{LIMITED}.nominalConcurrencyShares": -1,
            f"{LIMITED}.lendablePercent": 101,
            f"{LIMITED}.borrowingLimitPercent": -1,
        },
        [
            f"{LIMITED}.nominalConcurrencyShares: Invalid value: -1: {NOT_NEGATIVE}",
            f"{LIMITED}.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
            f"{LIMITED}.borrowingLimitPercent: Invalid value: -1: if specified, {NOT_NEGATIVE}",
        ],
    ),
    (
        "queues that are not used",
        {f"{LIMITED}.limitResponse.type": "Reject"},
        [f"{QUEUING}: Forbidden: must be nil if limited.limitResponse.type is not Limited"],
    ),
    (
        "no queues",
        {QUEUING: REMOVED},
        [f"{QUEUING}: Required value: must not be empty if limited.limitResponse.type is Limited"],
    ),
    (
        "a hand of more than all",
        {f"{QUEUING}.handSize": 17},
        [f"{QUEUING}.handSize: Invalid value: 17: should not be greater than queues (16)"],
    ),
    (
        "a hand that no hash can choose",
        {f"{QUEUING}.queues": 64, f"{QUEUING}.handSize": 11},
        [
            f"{QUEUING}.handSize: Invalid value: 11: required entropy bits of deckSize 64 and "
            "handSize 11 should not be greater than 60"
        ],
    ),
    (
        "below one",
        {f"{QUEUING}.queues": -1, f"{QUEUING}.handSize": -1, f"{QUEUING}.queueLengthLimit": -1},
        [
            f"{QUEUING}.queueLengthLimit: Invalid value: -1: must be positive",
            f"{QUEUING}.queues: Invalid value: -1: must be positive",
            f"{QUEUING}.handSize: Invalid value: -1: must be positive",
        ],
    ),
]
SCHEMA = {
    "apiVersion": GROUP,
    "kind": "FlowSchema",
    "metadata": META,
    "spec": {
        "priorityLevelConfiguration": {"name": "x"},
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": "u"}}],
                "resourceRules": [
                    {
                        "verbs": ["get"],
                        "apiGroups": [""],
                        "resources": ["pods"],
                        "namespaces": ["a"],
                    }
                ],
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/a/*"]}],
            }
        ],
    },
}
RULE, AT = "spec.rules.0", "spec.rules[0]"
RESOURCES, URLS = f"{AT}.resourceRules[0]", f"{AT}.nonResourceRules[0].nonResourceURLs"
SCHEMAS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "first of all",
        {"spec.matchingPrecedence": 1},
        [
            "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have "
            "matchingPrecedence 1"
        ],
    ),
    (
        "after the last",
        {"spec.matchingPrecedence": 10001},
        ["spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"],
    ),
    (
        "no level",
        {"spec.priorityLevelConfiguration.name": ""},
        ["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"],
    ),
    (
        "unknown distinction",
        {"spec.distinguisherMethod": {"type": "x"}},
        ["spec.distinguisherMethod.type: Unsupported value: ..."],
    ),
    (
        "nobody, nothing",
        {RULE: {}},
        [
            f"{AT}.subjects: Required value: subjects must contain at least one value",
            f"{AT}: Required value: at least one of resourceRules and nonResourceRules has to be "
            "non-empty",
        ],
    ),
    (
        "another's field",
        {f"{RULE}.subjects.0": {"kind": "User", "group": {"name": "g"}}},
        [
            f"{AT}.subjects[0].user: Required value: user is required when subject kind is 'User'",
            f"{AT}.subjects[0].group: Forbidden: group is forbidden when subject kind is not "
            "'Group'",
        ],
    ),
    (
        "an account of nowhere",
        {f"{RULE}.subjects.0": {"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}},
        [
            f"{AT}.subjects[0].serviceAccount.namespace: Required value: must specify namespace "
            "for service account"
        ],
    ),
    (
        "unknown subject",
        {f"{RULE}.subjects.0.kind": "x"},
        [f'{AT}.subjects[0].kind: Unsupported value: "x": supported values: "Group", "Serv...'],
    ),
    (
        "all and more",
        {
            f"{RULE}.resourceRules.0.verbs": ["*", "get"],
            f"{RULE}.resourceRules.0.namespaces": ["*", "a"],
        },
        [f"{RESOURCES}.verbs: Invalid value: [...", f"{RESOURCES}.namespaces: Invalid value: [..."],
    ),
    (
        "unknown verb, no place",
        {
            f"{RULE}.resourceRules.0.verbs": ["see"],
            f"{RULE}.resourceRules.0.namespaces": REMOVED,
        },
        [
            f"{RESOURCES}.verbs: Unsupported value: [...",
            f"{RESOURCES}.namespaces: Required value: resource rules that are not cluster scoped "
            "must supply at least one namespace",
        ],
    ),
    (
        "bad paths",
        {f"{RULE}.nonResourceRules.0.nonResourceURLs": ["", "a", "/a b", "/a//b", "/*/b", "/"]},
        [
            f'{URLS}[0]: Invalid value: "": must not be empty',
            f'{URLS}[1]: Invalid value: "a": must start with slash',
            f'{URLS}[2]: Invalid value: "/a b": must not contain white-space',
            f'{URLS}[3]: Invalid value: "/a//b": must not contain double slash',
            f'{URLS}[4]: Invalid value: "/*/b": wildcard can only do suffix matching',
        ],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in LEVELS], ids=[case[0] for case in LEVELS]
)
def test_levels(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(prioritylevelconfiguration.RESOURCE, changed(LEVEL, changes))
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in SCHEMAS], ids=[case[0] for case in SCHEMAS]
)
def test_schemas(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(flowschema.RESOURCE, changed(SCHEMA, changes))
    assert validation.agrees(found, errors), found


def test_defaults() -> None:
    assert validation.load(flowschema.RESOURCE, SCHEMA).spec.matchingPrecedence == 1000
    limited = validation.load(prioritylevelconfiguration.RESOURCE, LEVEL).spec.limited
    assert (limited.nominalConcurrencyShares, limited.lendablePercent) == (30, 0)
    assert limited.limitResponse.queuing.queueLengthLimit == 50


def test_what_is_mandatory_is_fixed() -> None:
    spec = msgspec.to_builtins(mandatory.FLOW_SCHEMAS["catch-all"])
    fixed = {**SCHEMA, "metadata": {"name": "catch-all"}, "spec": spec}
    assert validation.create(flowschema.RESOURCE, fixed) == []
    found = validation.create(
        flowschema.RESOURCE, changed(fixed, {"spec.matchingPrecedence": 9999})
    )
    assert [error.rpartition(": ")[2] for error in found] == [
        "spec of 'catch-all' must equal the fixed value"
    ]
    spec = msgspec.to_builtins(mandatory.PRIORITY_LEVELS["exempt"])
    level = {**LEVEL, "metadata": {"name": "exempt"}, "spec": spec}
    shares = changed(level, {"spec.exempt.lendablePercent": 50})
    assert validation.create(prioritylevelconfiguration.RESOURCE, shares) == []


def test_status() -> None:
    twice = {**SCHEMA, "status": {"conditions": [{"type": "Dangling"}, {"type": "Dangling"}]}}
    assert validation.update(flowschema.RESOURCE, twice, SCHEMA, "status") == [
        'status.conditions[1].type: Duplicate value: "Dangling"'
    ]


def test_rows() -> None:
    level = validation.load(prioritylevelconfiguration.RESOURCE, LEVEL)
    assert prioritylevelconfiguration.RESOURCE.row(level, NOW) == [
        "x",
        "Limited",
        30,
        16,
        4,
        50,
        "60s",
    ]
    condition = {"conditions": [{"type": "Dangling", "status": "False"}]}
    schema = validation.load(flowschema.RESOURCE, {**SCHEMA, "status": condition})
    assert flowschema.RESOURCE.row(schema, NOW) == ["x", "x", 1000, "<none>", "60s", "False"]
