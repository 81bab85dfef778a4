"""Metadata that every kind shares: names, labels, annotations, owners, finalizers."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.core.v1 import configmap, namespace
from trireme.api.rbac.v1 import role
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "m", "namespace": "ns"},
}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
OWNERS = "metadata.ownerReferences"

CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("fine", {"metadata.labels": {"a.b/c": "d"}, "metadata.annotations": {"A/b": "any text"}}, []),
    ("no name", {"metadata.name": REMOVED},
     ["metadata.name: Required value: name or generateName is required"]),
    ("a name of capitals", {"metadata.name": "M"},
     ['metadata.name: Invalid value: "M": a lowercase RFC 1123 subdomain must consist of lower '
      'case '
      "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character "
      "(e.g. 'example.com', regex used for validation is "
      r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"]),
    ("a long name", {"metadata.name": "a" * 254},
     ["metadata.name: Invalid value: ...: must be no more than 253 characters"]),
    ("a generated name ends in a dash", {"metadata.generateName": "m-"}, []),
    ("a bad base", {"metadata.generateName": "Mm-"},
     ['metadata.generateName: Invalid value: "Mm-": ...']),
    ("no namespace", {"metadata.namespace": REMOVED}, ["metadata.namespace: Required value"]),
    ("a namespace with dots", {"metadata.namespace": "a.b"},
     ['metadata.namespace: Invalid value: "a.b": must not contain dots']),
    ("a label's key", {"metadata.labels": {"a b": "c"}},
     ["metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, "
      "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
      "'my.name',  or '123-abc', regex used for validation is "
      "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"]),
    ("a label's value", {"metadata.labels": {"a": "b c"}},
     ['metadata.labels: Invalid value: "b c": ...']),
    ("a long value", {"metadata.labels": {"a": "b" * 64}},
     [f'metadata.labels: Invalid value: "{"b" * 64}": must be no more than 63 bytes']),
    ("an annotation's key", {"metadata.annotations": {"a/b/c": ""}},
     ['metadata.annotations: Invalid value: "a/b/c": a valid label key ...']),
    ("too much annotated", {"metadata.annotations": {"a": "x" * 262144}},
     ["metadata.annotations: Too long: may not be more than 262144 bytes"]),
    ("an owner", {OWNERS: [OWNER]}, []),
    ("an owner without a version", {OWNERS: [{**OWNER, "apiVersion": ""}]},
     ['metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty']),
    ("an owner without a uid", {OWNERS: [{**OWNER, "uid": ""}]},
     ['metadata.ownerReferences.uid: Invalid value: "": must not be empty']),
    ("an event as owner", {OWNERS: [{**OWNER, "kind": "Event"}]},
     ["metadata.ownerReferences: Invalid value: ..."]),
    ("two controllers",
     {OWNERS: [{**OWNER, "controller": True},
               {**OWNER, "name": "q", "uid": "v", "controller": True}]},
     ["metadata.ownerReferences: Invalid value: ..."]),
    ("a finalizer", {"metadata.finalizers": ["a.com/b"]}, []),
    ("a short finalizer", {"metadata.finalizers": ["b"]},
     ['metadata.finalizers[0]: Invalid value: "b": name is neither a standard finalizer name nor '
      'is '
      "it fully qualified"]),
    ("contrary finalizers", {"metadata.finalizers": ["orphan", "foregroundDeletion"]},
     ['metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and '
      "foregroundDeletion cannot be both set"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_create(changes: dict[str, Any], expected: list[str]) -> None:
    found = validation.create(configmap.RESOURCE, changed(MAP, changes))
    assert validation.agrees(found, _ending_known(found, expected)), found


def _ending_known(found: list[str], expected: list[str]) -> list[str]:
    """``a...: b`` stands for any text that begins with a and ends with b."""
    known = []
    for text, want in zip(found, expected, strict=False):
        start, dots, end = want.partition("...")
        fits = dots and text.startswith(start) and text.endswith(end)
        known.append(text if fits else want)
    return known + expected[len(known) :]


def test_two_controllers_are_named_by_kind() -> None:
    owners = [{**OWNER, "controller": True}, {**OWNER, "name": "q", "uid": "v", "controller": True}]
    found = validation.create(configmap.RESOURCE, changed(MAP, {OWNERS: owners}))
    assert found[0].endswith(
        'Only one reference can have Controller set to true. Found "true" in references for Pod/p '
        "and Pod/q"
    )


UPDATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing", {}, []),
    ("another uid", {"metadata.uid": "x"},
     ['metadata.uid: Invalid value: "x": field is immutable']),
    ("labels", {"metadata.labels": {"a": "b c"}}, ['metadata.labels: Invalid value: "b c": ...']),
    ("a finalizer while deleting", {"metadata.finalizers": ["a/b", "a/c"]},
     ["metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
      'deleted, found new finalizers []string{"a/c"}']),
    ("one finalizer less", {"metadata.finalizers": []}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in UPDATE], ids=[case[0] for case in UPDATE]
)
def test_update(changes: dict[str, Any], expected: list[str]) -> None:
    old = changed(
        MAP,
        {
            "metadata.deletionTimestamp": "2026-01-01T00:00:00Z",
            "metadata.finalizers": ["a/b"],
        },
    )
    found = validation.update(configmap.RESOURCE, changed(old, changes), old)
    assert validation.agrees(found, expected), found


def test_kinds_have_names_of_their_own_syntax() -> None:
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a.b"}}
    assert validation.create(namespace.RESOURCE, place) == [
        'metadata.name: Invalid value: "a.b": must not contain dots'
    ]
    a_role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "system:a", "namespace": "ns"},
    }
    assert validation.create(role.RESOURCE, a_role) == []
    assert validation.create(role.RESOURCE, changed(a_role, {"metadata.name": "a/b"})) == [
        "metadata.name: Invalid value: \"a/b\": may not contain '/'"
    ]


def test_cluster_kinds_have_no_namespace() -> None:
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "b"}}
    assert validation.create(namespace.RESOURCE, place) == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]
