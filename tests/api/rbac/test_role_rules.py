"""Roles and their bindings: rules, defaults and rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.rbac.v1 import clusterrole, clusterrolebinding, role, rolebinding
from trireme.machinery.resource import Resource
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 3600
GROUP = "rbac.authorization.k8s.io"
META = {"name": "a:b", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}
WIDE = {"name": "a:b", "creationTimestamp": "2026-01-01T00:00:00Z"}
RULE = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
ROLE = {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": META, "rules": [RULE]}
CLUSTER_ROLE = {**ROLE, "kind": "ClusterRole", "metadata": WIDE}
BINDING = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "RoleBinding",
    "metadata": META,
    "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"},
    "subjects": [{"kind": "User", "name": "u"}],
}
CLUSTER_BINDING = {**BINDING, "kind": "ClusterRoleBinding", "metadata": WIDE}
ACCOUNT = {"kind": "ServiceAccount", "name": "s"}

CREATE: list[tuple[str, Resource, dict[str, Any], dict[str, Any], list[str]]] = [
    ("role", role.RESOURCE, ROLE, {}, []),
    ("role without rules", role.RESOURCE, ROLE, {"rules": REMOVED}, []),
    (
        "role with a slash",
        role.RESOURCE,
        ROLE,
        {"metadata.name": "a/b"},
        ["metadata.name: Invalid value: \"a/b\": may not contain '/'"],
    ),
    (
        "rule without verbs",
        role.RESOURCE,
        ROLE,
        {"rules.0.verbs": []},
        ["rules[0].verbs: Required value: verbs must contain at least one value"],
    ),
    (
        "rule over nothing",
        role.RESOURCE,
        ROLE,
        {"rules.0.apiGroups": REMOVED, "rules.0.resources": REMOVED},
        [
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[0].resources: Required value: resource rules must supply at least one resource",
        ],
    ),
    (
        "paths in a namespace",
        role.RESOURCE,
        ROLE,
        {"rules.0": {"verbs": ["get"], "nonResourceURLs": ["/"]}},
        [
            'rules[0].nonResourceURLs: Invalid value: ["/"]: '
            "namespaced rules cannot apply to non-resource URLs"
        ],
    ),
    (
        "paths",
        clusterrole.RESOURCE,
        CLUSTER_ROLE,
        {"rules.0": {"verbs": ["get"], "nonResourceURLs": ["/"]}},
        [],
    ),
    (
        "paths and resources",
        clusterrole.RESOURCE,
        CLUSTER_ROLE,
        {"rules.0.nonResourceURLs": ["/"]},
        [
            'rules[0].nonResourceURLs: Invalid value: ["/"]: '
            "rules cannot apply to both regular resources and non-resource URLs"
        ],
    ),
    (
        "sum of roles",
        clusterrole.RESOURCE,
        CLUSTER_ROLE,
        {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}},
        [],
    ),
    (
        "sum of none",
        clusterrole.RESOURCE,
        CLUSTER_ROLE,
        {"aggregationRule": {}},
        [
            "aggregationRule.clusterRoleSelectors: Required value: "
            "at least one clusterRoleSelector required if aggregationRule is non-nil"
        ],
    ),
    (
        "bad sum",
        clusterrole.RESOURCE,
        CLUSTER_ROLE,
        {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "-"}}]}},
        [
            "aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid value: "
            '"-": a valid label must be...'
        ],
    ),
    ("binding", rolebinding.RESOURCE, BINDING, {}, []),
    ("binding of a role", rolebinding.RESOURCE, BINDING, {"roleRef.kind": "Role"}, []),
    (
        "wide binding of a role",
        clusterrolebinding.RESOURCE,
        CLUSTER_BINDING,
        {"roleRef.kind": "Role"},
        ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
    ),
    (
        "role of another group",
        rolebinding.RESOURCE,
        BINDING,
        {"roleRef.apiGroup": "a"},
        [f'roleRef.apiGroup: Unsupported value: "a": supported values: "{GROUP}"'],
    ),
    (
        "no role",
        rolebinding.RESOURCE,
        BINDING,
        {"roleRef.name": ""},
        ["roleRef.name: Required value"],
    ),
    (
        "bad role",
        rolebinding.RESOURCE,
        BINDING,
        {"roleRef.name": "a%b"},
        ["roleRef.name: Invalid value: \"a%b\": may not contain '%'"],
    ),
    ("account", rolebinding.RESOURCE, BINDING, {"subjects": [ACCOUNT]}, []),
    (
        "account of no namespace",
        clusterrolebinding.RESOURCE,
        CLUSTER_BINDING,
        {"subjects": [ACCOUNT]},
        ["subjects[0].namespace: Required value"],
    ),
    (
        "account of a group",
        rolebinding.RESOURCE,
        BINDING,
        {"subjects": [{**ACCOUNT, "apiGroup": GROUP}]},
        [f'subjects[0].apiGroup: Unsupported value: "{GROUP}": supported values: ""'],
    ),
    (
        "bad account",
        rolebinding.RESOURCE,
        BINDING,
        {"subjects": [{**ACCOUNT, "name": "A"}]},
        ['subjects[0].name: Invalid value: "A": a lowercase RFC 1123 subdomain...'],
    ),
    (
        "nobody",
        rolebinding.RESOURCE,
        BINDING,
        {"subjects.0.name": ""},
        ["subjects[0].name: Required value"],
    ),
    (
        "something",
        rolebinding.RESOURCE,
        BINDING,
        {"subjects.0.kind": "Thing"},
        [
            'subjects[0].kind: Unsupported value: "Thing": '
            'supported values: "ServiceAccount", "User", "Group"'
        ],
    ),
]


@pytest.mark.parametrize(
    ("resource", "manifest", "changes", "errors"),
    [case[1:] for case in CREATE],
    ids=[case[0] for case in CREATE],
)
def test_create(
    resource: Resource, manifest: dict[str, Any], changes: dict[str, Any], errors: list[str]
) -> None:
    found = validation.create(resource, changed(manifest, changes))
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(
    ("resource", "manifest"),
    [(rolebinding.RESOURCE, BINDING), (clusterrolebinding.RESOURCE, CLUSTER_BINDING)],
    ids=["RoleBinding", "ClusterRoleBinding"],
)
def test_bindings_keep_their_role(resource: Resource, manifest: dict[str, Any]) -> None:
    assert validation.update(resource, changed(manifest, {"subjects.0.name": "v"}), manifest) == []
    found = validation.update(resource, changed(manifest, {"roleRef.name": "edit"}), manifest)
    assert validation.agrees(
        found,
        [
            "roleRef: Invalid value: {...",
        ],
    ), found
    assert found[0].endswith(": cannot change roleRef")


def test_subjects_get_the_group_of_rbac() -> None:
    kinds = [{"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}, ACCOUNT]
    obj = validation.load(rolebinding.RESOURCE, {**BINDING, "subjects": kinds})
    assert [subject.apiGroup for subject in obj.subjects] == [GROUP, GROUP, ""]


def test_binding_row() -> None:
    kinds = [
        {"kind": "User", "name": "u"},
        {"kind": "User", "name": "v"},
        {"kind": "Group", "name": "g"},
        {**ACCOUNT, "namespace": "n"},
    ]
    obj = validation.load(rolebinding.RESOURCE, {**BINDING, "subjects": kinds})
    assert rolebinding.RESOURCE.row(obj, NOW) == [
        "a:b",
        "ClusterRole/view",
        "60m",
        "u, v",
        "g",
        "n/s",
    ]
