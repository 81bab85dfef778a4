"""What the value of a mutation's expression makes of an object. Pure.

In: the object as plain JSON, and the value: an ``Object`` that is merged as an apply would be, or a
list of ``JSONPatch``. Out: the new plain JSON; the argument is not changed. Errors: ``Failed``, in
upstream's words. Called by ``mutating``. Upstream: apiserver
``pkg/admission/plugin/policy/mutating/patch``, ``pkg/cel/mutation``; KEP-3962.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from trireme.expr.cel import times
from trireme.expr.cel.values import Duration, Struct, Timestamp
from trireme.machinery import errors, gotext
from trireme.machinery.apply import check
from trireme.machinery.apply.atom import NUMERIC, Atom
from trireme.machinery.apply.merge import merge
from trireme.machinery.patch import json_patch

# Integers beyond this are no JSON numbers: they are written as text.
_SAFE_INTEGER: Final = 2**53 - 1

# How upstream prints null beside what it expects.
_NULLS: Final = {
    "map": ("map", "&{NULL_VALUE}"),
    "list": ("list", "&{NULL_VALUE}"),
    NUMERIC: ("numeric (int or float)", "structpb.NullValue"),
}


class Failed(Exception):
    """A mutation that cannot be made; ``internal``: its result is no object of the kind (500)."""

    def __init__(self, message: str, internal: bool = False) -> None:
        super().__init__(message)
        self.internal = internal


def apply_configuration(atom: Atom, live: dict[str, Any], value: Struct) -> dict[str, Any]:
    """``live`` merged with the fields that ``value`` has. ``atom``: how the kind's values merge."""
    _check_names(value)
    config = _plain(value, patch=False)
    config["apiVersion"], config["kind"] = live["apiVersion"], live["kind"]
    problems = check.problems(atom, config) + list(_nulls(atom, config, ""))
    if problems:
        raise Failed(
            "error applying patch: failed to convert patch object to typed object: "
            + check.error_text(problems)
        )
    atomic = list(_atomic(atom, config, ""))
    if atomic:
        # What such a part does not name would be taken away.
        raise Failed(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps "
            f"or structs: {', '.join(atomic)}"
        )
    try:
        merged: dict[str, Any] = merge(atom, live, config)
    except ValueError as error:
        raise Failed(f"error applying patch: failed to merge patch: {error}") from None
    return merged


def _nulls(atom: Atom, value: Any, at: str) -> Iterator[str]:
    """A null of an expression fits nowhere."""
    if value is None:
        kind = "map" if atom.map is not None else "list" if atom.list is not None else atom.scalar
        expected, found = _NULLS.get(kind, (kind, "&value.valueUnstructured{Value:0}"))
        yield f"{at}: expected {expected}, got {found}"
    elif isinstance(value, dict) and atom.map is not None:
        for key, item in value.items():
            yield from _nulls(atom.map.at(key), item, f"{at}.{key}")
    elif isinstance(value, list) and atom.list is not None:
        for position, item in enumerate(value):
            yield from _nulls(atom.list.element, item, f"{at}[{position}]")


def _atomic(atom: Atom, value: Any, at: str) -> Iterator[str]:
    """The paths of all parts of ``value`` that are owned as a whole."""
    if isinstance(value, dict) and atom.map is not None:
        if atom.map.atomic:
            yield at
        for key, item in value.items():
            field = atom.map.fields.get(key)
            if field is not None:
                yield from _atomic(field, item, f"{at}.{key}")
    elif isinstance(value, list) and atom.list is not None:
        if atom.list.atomic:
            yield at
        for position, item in enumerate(value):
            yield from _atomic(atom.list.element, item, f"{at}[{position}]")


def patch(live: dict[str, Any], value: list[Struct]) -> dict[str, Any]:
    """``live`` after all operations; as it was when a ``test`` operation does not hold."""
    items = []
    for operation in value:
        item: dict[str, Any] = {"op": operation.get("op", ""), "path": operation.get("path", "")}
        if operation.get("from"):
            item["from"] = operation["from"]
        if "value" in operation:
            if isinstance(operation["value"], Struct):
                _check_names(operation["value"])
            item["value"] = _plain(operation["value"], patch=True)
        items.append(item)
    try:
        patched: dict[str, Any] = json_patch.apply(live, json_patch.operations(items))
    except json_patch.TestFailed:
        return live
    except errors.ApiError as error:
        assert error.details is not None
        raise Failed(f"JSON Patch: {error.details.causes[0].message}") from None
    return patched


def _check_names(value: Struct) -> None:
    """``Object.spec`` stands at ``spec`` alone. Types are not known while expressions compile, so
    that this finds names that were mixed up."""
    found = list(_misplaced(value, value.type_name))
    if found:
        raise Failed("type mismatch: " + "\n".join(found))


def _misplaced(value: Any, expected: str) -> Iterator[str]:
    if isinstance(value, Struct):
        if value.type_name != expected:
            yield (
                f"unexpected type name {gotext.quote(value.type_name)}, expected "
                f"{gotext.quote(expected)}, which matches field name path from root Object type"
            )
        for key, item in value.items():
            yield from _misplaced(item, f"{expected}.{key}")
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _misplaced(item, expected)


def _plain(value: Any, patch: bool) -> Any:
    """A value of an expression as plain JSON; ``patch``: as the value of a JSON patch."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise Failed(f"map key {gotext.quote(str(key))} is not a string")
        return {key: _plain(item, patch) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, patch) for item in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(int(value)) if patch and abs(value) > _SAFE_INTEGER else int(value)
    if isinstance(value, float) and patch and value.is_integer() and abs(value) <= _SAFE_INTEGER:
        return int(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Timestamp):
        return times.timestamp_text(value)
    if isinstance(value, Duration):
        return times.duration_text(value)
    if value is None or isinstance(value, str | float):
        return value
    raise Failed(
        "JSONPath valueExpression evaluated to a type that could not marshal to JSON: "
        f"{getattr(value, 'type_name', type(value).__name__)}"
    )
