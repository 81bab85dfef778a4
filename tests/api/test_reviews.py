"""Requests that are answered and not stored: access reviews, tokens, scales."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.authentication.v1 import tokenrequest
from trireme.api.authorization.v1 import (
    localsubjectaccessreview,
    selfsubjectaccessreview,
    selfsubjectrulesreview,
    subjectaccessreview,
)
from trireme.api.autoscaling.v1 import scale
from trireme.machinery.resource import Resource
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

V1 = "authorization.k8s.io/v1"
PODS = {"verb": "get", "resource": "pods", "namespace": "ns"}
ANY = {
    "apiVersion": V1,
    "kind": "SubjectAccessReview",
    "spec": {"user": "u", "resourceAttributes": PODS},
}
LOCAL = {**ANY, "kind": "LocalSubjectAccessReview", "metadata": {"namespace": "ns"}}
SELF = {"apiVersion": V1, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": PODS}}
RULES = {"apiVersion": V1, "kind": "SelfSubjectRulesReview", "spec": {"namespace": "ns"}}
AT = "spec.resourceAttributes"

REVIEWS: list[tuple[str, Resource, dict[str, Any], dict[str, Any], list[str]]] = [
    ("resource", subjectaccessreview.RESOURCE, ANY, {}, []),
    (
        "path",
        subjectaccessreview.RESOURCE,
        ANY,
        {AT: REMOVED, "spec.nonResourceAttributes": {"path": "/", "verb": "get"}},
        [],
    ),
    ("group", subjectaccessreview.RESOURCE, ANY, {"spec.user": REMOVED, "spec.groups": ["g"]}, []),
    (
        "nobody",
        subjectaccessreview.RESOURCE,
        ANY,
        {"spec.user": REMOVED},
        ['spec.user: Invalid value: "": at least one of user or group must be specified'],
    ),
    (
        "both",
        subjectaccessreview.RESOURCE,
        ANY,
        {"spec.nonResourceAttributes": {"path": "/"}},
        ["spec.nonResourceAttributes: Invalid value: ..."],
    ),
    (
        "neither",
        subjectaccessreview.RESOURCE,
        ANY,
        {AT: REMOVED},
        [
            f"{AT}: Invalid value: null: "
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        ],
    ),
    (
        "named",
        subjectaccessreview.RESOURCE,
        ANY,
        {"metadata.name": "a"},
        ["metadata: Invalid value: ..."],
    ),
    (
        "empty selector",
        subjectaccessreview.RESOURCE,
        ANY,
        {f"{AT}.labelSelector": {}},
        [
            f"{AT}.labelSelector.requirements: Required value: "
            f"when {AT}.labelSelector is specified, "
            "requirements or rawSelector is required"
        ],
    ),
    (
        "in nothing",
        subjectaccessreview.RESOURCE,
        ANY,
        {f"{AT}.labelSelector": {"requirements": [{"key": "a", "operator": "In"}]}},
        [
            f"{AT}.labelSelector.requirements[0].values: Required value: "
            "must be specified when `operator` is 'In' or 'NotIn'"
        ],
    ),
    (
        "exists with values",
        subjectaccessreview.RESOURCE,
        ANY,
        {
            f"{AT}.fieldSelector": {
                "requirements": [{"key": "a", "operator": "Exists", "values": ["b"]}]
            }
        },
        [
            f"{AT}.fieldSelector.requirements[0].values: Forbidden: "
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        ],
    ),
    ("local", localsubjectaccessreview.RESOURCE, LOCAL, {}, []),
    (
        "local elsewhere",
        localsubjectaccessreview.RESOURCE,
        LOCAL,
        {f"{AT}.namespace": "other"},
        [f'{AT}.namespace: Invalid value: "other": must match metadata.namespace'],
    ),
    (
        "local path",
        localsubjectaccessreview.RESOURCE,
        LOCAL,
        {AT: REMOVED, "spec.nonResourceAttributes": {"path": "/"}},
        ["spec.nonResourceAttributes: Invalid value: ..."],
    ),
    ("self", selfsubjectaccessreview.RESOURCE, SELF, {}, []),
    (
        "self neither",
        selfsubjectaccessreview.RESOURCE,
        SELF,
        {"spec": {}},
        [f"{AT}: Invalid value: null: ..."],
    ),
    ("rules", selfsubjectrulesreview.RESOURCE, RULES, {}, []),
]

TOKENS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"expirationSeconds": 600}, []),
    (
        {"expirationSeconds": 599},
        [
            "spec.expirationSeconds: Invalid value: 599: "
            "may not specify a duration less than 10 minutes"
        ],
    ),
    ({"expirationSeconds": 2**32}, []),
    (
        {"expirationSeconds": 2**32 + 1},
        [
            "spec.expirationSeconds: Invalid value: 4294967297: "
            "may not specify a duration larger than 2^32 seconds"
        ],
    ),
]


@pytest.mark.parametrize(
    ("resource", "manifest", "changes", "errors"),
    [case[1:] for case in REVIEWS],
    ids=[case[0] for case in REVIEWS],
)
def test_review(
    resource: Resource, manifest: dict[str, Any], changes: dict[str, Any], errors: list[str]
) -> None:
    obj = validation.load(resource, changed(manifest, changes))
    found = [str(error) for error in resource.validate(obj)]
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(("spec", "errors"), TOKENS)
def test_token_request(spec: dict[str, Any], errors: list[str]) -> None:
    expected = tokenrequest.TokenRequest()
    expected.spec.expirationSeconds = spec.get("expirationSeconds", 3600)
    assert [str(error) for error in tokenrequest.validate(expected)] == errors


def test_scale() -> None:
    expected = scale.Scale()
    assert scale.validate(expected) == []
    expected.spec.replicas = -1
    assert [str(error) for error in scale.validate(expected)] == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
