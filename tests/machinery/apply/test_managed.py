"""managedFields as values: identities, order, and the cap on updaters."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trireme.machinery import field
from trireme.machinery.apply import fieldset, managed, scale
from trireme.machinery.apply.managed import Owner
from trireme.machinery.meta import ManagedFieldsEntry

RAW = msgspec.Raw(b'{"f:spec":{"f:replicas":{},"f:selector":{}}}')


def entry(manager: str, operation: str = "Update", **changes: Any) -> ManagedFieldsEntry:
    made = ManagedFieldsEntry(
        manager=manager,
        operation=operation,
        apiVersion="apps/v1",
        fieldsType="FieldsV1",
        fieldsV1=RAW,
    )
    return msgspec.structs.replace(made, **changes)


def test_entries_survive_and_are_ordered() -> None:
    given = [
        entry("b", time="2024-01-01T00:00:02Z"),
        entry("a", time="2024-01-01T00:00:02Z"),
        entry("c", time="2024-01-01T00:00:01Z"),
        entry("z", "Apply"),
    ]
    again = managed.encode(managed.decode(given))
    assert [item.manager for item in again] == ["z", "c", "a", "b"]
    assert managed.encode(managed.decode(again)) == again


def test_one_that_applies_is_the_same_in_every_version() -> None:
    two = [entry("a", "Apply"), entry("a", "Apply", apiVersion="apps/v2")]
    assert len(managed.decode(two)) == 1
    assert len(managed.decode([entry("a"), entry("a", apiVersion="apps/v2")])) == 2


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"operation": "Move"}, "operation must be"),
        ({"apiVersion": ""}, "apiVersion must not be empty"),
        ({"fieldsType": ""}, "missing fieldsType"),
        ({"fieldsType": "V2"}, 'invalid fieldsType "V2" in managed fields entry 0'),
        ({"fieldsV1": msgspec.Raw(b"[]")}, "error decoding versioned set"),
    ],
)
def test_what_says_nothing(changes: dict[str, Any], detail: str) -> None:
    with pytest.raises(ValueError, match=detail):
        managed.decode([entry("a", **changes)])


def test_the_oldest_updaters_share_a_bucket() -> None:
    owners = {
        managed.identity(f"m{i:02}", "Update", "v1", ""): Owner(
            fieldset.fields((f"x{i:02}",)), "v1", False, f"2024-01-01T00:00:{i:02}Z"
        )
        for i in range(13)
    }
    kept = managed.capped(owners)
    bucket = managed.identity("ancient-changes", "Update", "v1", "")
    assert len(kept) == managed.MAX_UPDATERS
    assert kept[bucket].fields == fieldset.fields(("x00",), ("x01",), ("x02",), ("x03",))
    assert kept[bucket].time == "2024-01-01T00:00:03Z"
    assert len(owners) == 13


def test_names_are_short_and_can_be_printed() -> None:
    at = field.path("metadata", "managedFields")
    found = managed.problems(at, [entry("x" * 129), entry("a\n"), entry("fine")])
    assert [(item.field, item.type) for item in found] == [
        ("metadata.managedFields[0].manager", "FieldValueTooLong"),
        ("metadata.managedFields[1].manager", "FieldValueInvalid"),
    ]


@pytest.mark.parametrize("operation", ["Apply", "Update"])
def test_a_scale_steals_the_replicas(operation: str) -> None:
    paths = {"apps/v1": scale.REPLICAS}
    stored = [entry("test", "Apply")]
    converted = scale.to_scale(stored, paths)
    assert [(item.apiVersion, bytes(item.fieldsV1)) for item in converted] == [
        ("autoscaling/v1", b'{"f:spec":{"f:replicas":{}}}')
    ]
    written = [
        entry(
            "scale",
            operation,
            apiVersion="autoscaling/v1",
            subresource="scale",
            fieldsV1=msgspec.Raw(b'{"f:spec":{"f:replicas":{}}}'),
        )
    ]
    after = scale.to_object(stored, written, "apps/v1", paths)
    assert {item.manager: bytes(item.fieldsV1) for item in after} == {
        "test": b'{"f:spec":{"f:selector":{}}}',
        "scale": b'{"f:spec":{"f:replicas":{}}}',
    }
    assert {item.apiVersion for item in after} == {"apps/v1"}
