"""Rules against requests: upstream's cases of predicates/rules."""

from __future__ import annotations

import pytest

from trireme import api
from trireme.api.admissionregistration.v1.matching import RuleWithOperations
from trireme.api.catalog import Catalog
from trireme.apiserver.admission.matching import rules
from trireme.apiserver.admission.objects import GroupVersionResource

DEPLOYMENTS = GroupVersionResource("apps", "v1", "deployments")
PODS = GroupVersionResource("", "v1", "pods")


@pytest.mark.parametrize(
    ("resources", "resource", "subresource", "expected"),
    [
        (["*"], "pods", "", True),
        (["*"], "pods", "exec", False),
        (["*/*"], "pods", "", True),
        (["*/*"], "pods", "exec", True),
        (["pods"], "pods", "", True),
        (["pods"], "pods", "exec", False),
        (["pods/*"], "pods", "", True),
        (["pods/*"], "pods", "exec", True),
        (["pods/*"], "services", "proxy", False),
        (["pods/exec"], "pods", "exec", True),
        (["pods/exec"], "pods", "attach", False),
        (["*/scale"], "deployments", "scale", True),
        (["*/scale"], "deployments", "", False),
        (["services", "pods"], "pods", "", True),
    ],
)
def test_resources(resources: list[str], resource: str, subresource: str, expected: bool) -> None:
    rule = RuleWithOperations(
        operations=["*"], apiGroups=["*"], apiVersions=["*"], resources=resources
    )
    asked = GroupVersionResource("", "v1", resource)
    assert rules.matches(rule, "CREATE", asked, subresource, True) is expected


@pytest.mark.parametrize(
    ("scope", "namespaced", "expected"),
    [
        (None, True, True),
        ("*", False, True),
        ("Namespaced", True, True),
        ("Namespaced", False, False),
        ("Cluster", False, True),
        ("Cluster", True, False),
    ],
)
def test_scope(scope: str | None, namespaced: bool, expected: bool) -> None:
    rule = RuleWithOperations(
        operations=["CREATE"],
        apiGroups=[""],
        apiVersions=["v1"],
        resources=["pods"],
        scope=scope,
    )
    assert rules.matches(rule, "CREATE", PODS, "", namespaced) is expected


@pytest.mark.parametrize(
    ("operations", "groups", "versions", "expected"),
    [
        (["CREATE"], ["apps"], ["v1"], True),
        (["*"], ["*"], ["*"], True),
        (["UPDATE"], ["apps"], ["v1"], False),
        (["CREATE"], [""], ["v1"], False),
        (["CREATE"], ["apps"], ["v1beta1"], False),
    ],
)
def test_operation_group_version(
    operations: list[str], groups: list[str], versions: list[str], expected: bool
) -> None:
    rule = RuleWithOperations(
        operations=operations, apiGroups=groups, apiVersions=versions, resources=["deployments"]
    )
    assert rules.matches(rule, "CREATE", DEPLOYMENTS, "", True) is expected


def test_only_admission_configurations_are_exempt() -> None:
    exempt = {item.kind for item in Catalog.of(api).resources if rules.exempt(item)}
    assert exempt == {
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
