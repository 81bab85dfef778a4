"""RBAC's rules, each as a line of a table: what matches, who is meant, what covers what."""

from __future__ import annotations

import pytest

from trireme.api.rbac.v1.rules import PolicyRule, Subject
from trireme.apiserver.authz.rbac import cover, match
from trireme.apiserver.request import User


def means(user: User, subject: Subject, namespace: str) -> bool:
    key = match.subject_key(subject, namespace)
    return key in [("User", user.name), *(("Group", group) for group in user.groups)]


def rule(
    verbs: str = "get",
    groups: str = "core",
    resources: str = "",
    names: str = "",
    urls: str = "",
) -> PolicyRule:
    return PolicyRule(
        verbs=verbs.split(),
        apiGroups=["" if group == "core" else group for group in groups.split()],
        resources=resources.split(),
        resourceNames=names.split(),
        nonResourceURLs=urls.split(),
    )


@pytest.mark.parametrize(
    ("resources", "asked", "subresource", "allowed"),
    [
        ("pods", "pods", "", True),
        ("pods", "services", "", False),
        ("pods", "pods", "log", False),
        ("pods/log", "pods", "log", True),
        ("pods/log", "pods", "", False),
        ("*", "pods", "", True),
        ("*", "pods", "log", True),
        ("*/scale", "deployments", "scale", True),
        ("*/scale", "deployments", "status", False),
        ("*/scale", "deployments", "", False),
        ("*/scale", "scale", "", False),
        ("pods services", "services", "", True),
    ],
)
def test_resources(resources: str, asked: str, subresource: str, allowed: bool) -> None:
    given = rule(resources=resources)
    assert match.allows_resource(given, "get", "", asked, subresource) is allowed


@pytest.mark.parametrize(
    ("verbs", "groups", "allowed"),
    [
        ("get", "apps", True),
        ("*", "apps", True),
        ("get", "*", True),
        ("list", "apps", False),
        ("get", "core", False),
        ("get list", "core apps", True),
    ],
)
def test_verbs_and_groups(verbs: str, groups: str, allowed: bool) -> None:
    given = rule(verbs, groups, "deployments")
    assert match.allows_resource(given, "get", "apps", "deployments", "") is allowed


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("*", "/anything", True),
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/etcd", False),
        ("/healthz/*", "/healthz/etcd", True),
        ("/healthz/*", "/healthz", False),
        ("/api*", "/apis/apps", True),
    ],
)
def test_paths(pattern: str, path: str, allowed: bool) -> None:
    assert match.allows_path(rule(urls=pattern), "get", path) is allowed
    assert not match.allows_path(rule("post", urls=pattern), "get", path)


@pytest.mark.parametrize(
    ("subject", "namespace", "is_meant"),
    [
        (Subject(kind="User", name="jane"), "", True),
        (Subject(kind="User", name="joe"), "", False),
        (Subject(kind="Group", name="devs"), "", True),
        (Subject(kind="Group", name="jane"), "", False),
        (Subject(kind="User", name="devs"), "", False),
        (Subject(kind="ServiceAccount", name="jane", namespace="x"), "", False),
        (Subject(kind="Robot", name="jane"), "", False),
    ],
)
def test_subjects(subject: Subject, namespace: str, is_meant: bool) -> None:
    user = User("jane", groups=("devs",))
    assert means(user, subject, namespace) is is_meant


@pytest.mark.parametrize(
    ("subject_namespace", "binding_namespace", "is_meant"),
    [("x", "", True), ("", "x", True), ("y", "x", False), ("", "", False), ("", "y", False)],
)
def test_service_accounts_as_subjects(
    subject_namespace: str, binding_namespace: str, is_meant: bool
) -> None:
    user = User("system:serviceaccount:x:robot")
    subject = Subject(kind="ServiceAccount", name="robot", namespace=subject_namespace)
    assert means(user, subject, binding_namespace) is is_meant


@pytest.mark.parametrize(
    ("held", "expected", "missing"),
    [
        ([rule("*", "*", "*")], rule("get list", "apps", "deployments"), []),
        ([rule("get", resources="pods")], rule("get list", resources="pods"), ["list"]),
        (
            [rule("get", resources="pods"), rule("list", resources="pods")],
            rule("get list", resources="pods"),
            [],
        ),
        ([rule("get", resources="pods", names="a")], rule("get", resources="pods"), ["get"]),
        ([rule("get", resources="pods")], rule("get", resources="pods", names="a b"), []),
        (
            [rule("get", resources="pods", names="a")],
            rule("get", resources="pods", names="a b"),
            ["get"],
        ),
        ([rule("get", resources="*/log")], rule("get", resources="pods/log"), []),
        ([rule("get", resources="pods")], rule("get", resources="*"), ["get"]),
        ([rule(urls="/api/*")], rule(urls="/api/v1"), []),
        ([rule(urls="/api/v1")], rule(urls="/api/*"), ["get"]),
        ([], rule("get", resources="pods"), ["get"]),
    ],
)
def test_covering(held: list[PolicyRule], expected: PolicyRule, missing: list[str]) -> None:
    found = cover.uncovered(held, [expected])
    assert [part.verbs[0] for part in found] == missing


def test_missing_rights_are_described_together() -> None:
    missing = cover.uncovered([], [rule("get list", resources="pods secrets"), rule(urls="/x")])
    assert sorted(cover.described(part) for part in cover.compacted(missing)) == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
    ]
