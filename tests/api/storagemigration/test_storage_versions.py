"""StorageVersionMigrations and StorageVersions: rules and rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.apiserverinternal.v1alpha1 import storageversion
from trireme.api.storagemigration.v1beta1 import storageversionmigration
from trireme.testing import validation
from trireme.testing.validation import changed

META = {"name": "apps.things", "creationTimestamp": "2026-01-01T00:00:00Z"}
MIGRATION = {
    "apiVersion": "storagemigration.k8s.io/v1beta1",
    "kind": "StorageVersionMigration",
    "metadata": META,
    "spec": {"resource": {"group": "apps", "resource": "things"}},
}


def condition(kind: str) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00Z"
    rest = {"reason": "R", "message": "", "lastTransitionTime": moment}
    return {"type": kind, "status": "True", **rest}


def test_a_migration_is_of_a_kind() -> None:
    bad = changed(MIGRATION, {"spec.resource": {"group": "A", "resource": ""}})
    found = validation.create(storageversionmigration.RESOURCE, bad)
    assert validation.agrees(
        found,
        [
            "spec.resource.resource: Required value: resource is required to be set",
            'spec.resource.group: Invalid value: "A": a lowercase RFC 1123 subdomain...',
        ],
    ), found
    other = changed(MIGRATION, {"spec.resource.resource": "others"})
    found = validation.update(storageversionmigration.RESOURCE, other, MIGRATION)
    assert validation.agrees(found, ["spec: Invalid value: ..."]), found


STATUS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {"resourceVersion": "5"}, []),
    (
        {},
        {"resourceVersion": "05"},
        ['status.resourceVersion: Invalid value: "05": resource version is not well formed: 05'],
    ),
    (
        {"resourceVersion": "5"},
        {"resourceVersion": "6"},
        ['status.resourceVersion: Invalid value: "6": field is immutable'],
    ),
    (
        {},
        {"conditions": [condition("Succeeded"), condition("Failed")]},
        ["status.conditions: Invalid value: [..."],
    ),
    (
        {"conditions": [condition("Succeeded")]},
        {},
        ["status.conditions: Invalid value: []: Success condition cannot be set to false once..."],
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), STATUS)
def test_how_a_migration_ends(old: dict[str, Any], new: dict[str, Any], errors: list[str]) -> None:
    was, now = ({**MIGRATION, "status": status} for status in (old, new))
    found = validation.update(storageversionmigration.RESOURCE, now, was, "status")
    assert validation.agrees(found, errors), found


def test_the_row_of_a_migration() -> None:
    running = {**MIGRATION, "status": {"conditions": [condition("Running")]}}
    obj = validation.load(storageversionmigration.RESOURCE, running)
    assert storageversionmigration.RESOURCE.row(obj, 0.0) == [
        "apps.things",
        "things.apps",
        "Running",
    ]


VERSION = {
    "apiVersion": "internal.apiserver.k8s.io/v1alpha1",
    "kind": "StorageVersion",
    "metadata": META,
    "spec": {},
}


def server(name: str, encoding: str, *decodable: str) -> dict[str, Any]:
    versions = list(decodable) or [encoding]
    return {"apiServerID": name, "encodingVersion": encoding, "decodableVersions": versions}


COMMON = "status.commonEncodingVersion: Invalid value:"
VERSIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"storageVersions": [server("a", "apps/v1")], "commonEncodingVersion": "apps/v1"}, []),
    (
        {"storageVersions": [server("a", "apps/v1")]},
        [f"{COMMON} null: the common encoding version is apps/v1"],
    ),
    (
        {"storageVersions": [server("a", "v1"), server("b", "v2")], "commonEncodingVersion": "v1"},
        [f'{COMMON} "v1": should be nil if servers do not agree on the same encoding...'],
    ),
    (
        {"storageVersions": [server("a", "v1")] * 2, "commonEncodingVersion": "v1"},
        ['status.storageVersions[1].apiServerID: Duplicate value: "a"'],
    ),
    (
        {"storageVersions": [server("a", "v1", "v2")], "commonEncodingVersion": "v1"},
        ["status.storageVersions[0].decodableVersions: Invalid value: [..."],
    ),
]


@pytest.mark.parametrize(("status", "errors"), VERSIONS)
def test_what_servers_store(status: dict[str, Any], errors: list[str]) -> None:
    new = {**VERSION, "status": status}
    found = validation.update(storageversion.RESOURCE, new, VERSION, "status")
    assert validation.agrees(found, errors), found


def test_names_and_rows() -> None:
    assert storageversion.is_name("things") == ["name must be in the form of <group>.<resource>"]
    assert storageversion.is_name("apps.things") == []
    status = {"storageVersions": [server("a", "v1")], "commonEncodingVersion": "v1"}
    obj = validation.load(storageversion.RESOURCE, {**VERSION, "status": status})
    assert storageversion.RESOURCE.row(obj, 1767225600.0) == ["apps.things", "v1", "a=v1", "0s"]
    empty = validation.load(storageversion.RESOURCE, VERSION)
    assert storageversion.RESOURCE.row(empty, 1767225600.0)[1:3] == ["<unset>", "<unset>"]
