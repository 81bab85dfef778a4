"""Metadata inside custom resources: that of the object and of resources embedded in it.

In: plain JSON. Out: the same with metadata cut to what ObjectMeta has, the unknown fields that went
with it, and errors. Rules: x-kubernetes-embedded-resource; upstream schema/objectmeta.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trireme.api import metadata as rules
from trireme.api.apiextensions.schema.structural import META_FIELDS, Structural
from trireme.machinery import field, names
from trireme.machinery.field import FieldError, Path
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.schema import decode, normalise
from trireme.machinery.schema.decode import DecodeError


class BadMetadata(ValueError):
    """Something in metadata has the wrong type. ``error`` says where."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(str(error))
        self.error = error


_FIELDS: Final = {name: name for name in ObjectMeta.__struct_fields__}


def read(value: Any, *, lenient: bool, unknown: list[str] | None = None) -> ObjectMeta:
    """``metadata`` as ObjectMeta.

    ``unknown`` collects the paths of fields that ObjectMeta does not have, below "metadata".
    ``lenient``: fields of a wrong type are dropped, where otherwise DecodeError is raised.
    """
    try:
        meta, warnings = decode.decode(msgspec.json.encode(value), ObjectMeta, decode.WARN)
        normalise.normalise(meta)
    except DecodeError:
        if not lenient or not isinstance(value, dict):
            raise
        return _best(value)
    if unknown is not None:
        unknown += ["metadata." + text.partition('"')[2][:-1] for text in warnings]
    return meta


def _best(value: dict[str, Any]) -> ObjectMeta:
    good: dict[str, Any] = {}
    for key, item in value.items():
        if key in _FIELDS:
            try:
                decode.decode(msgspec.json.encode({key: item}), ObjectMeta, decode.IGNORE)
            except DecodeError:
                continue
            good[key] = item
    meta, _ = decode.decode(msgspec.json.encode(good), ObjectMeta, decode.IGNORE)
    return meta


def coerce(value: Any, node: Structural, *, lenient: bool, at: Path | None = None) -> list[str]:
    """Cut the metadata of embedded resources at and below ``value`` to what ObjectMeta has.

    Returns the paths of what was cut. Raises BadMetadata for a wrong type, unless ``lenient``.
    """
    unknown: list[str] = []
    if node.has_embedded or node.embedded:
        _coerce(value, node, lenient, at, unknown)
    unknown.sort()
    return unknown


def _coerce(
    value: Any, node: Structural, lenient: bool, at: Path | None, unknown: list[str]
) -> None:
    if isinstance(value, dict):
        if node.embedded:
            _coerce_resource(value, lenient, at, unknown)
        for key, item in value.items():
            below = node.properties.get(key)
            if below is not None and below.has_embedded:
                _coerce(item, below, lenient, _child(at, key), unknown)
            elif below is None and node.additional is not None and node.additional.has_embedded:
                _coerce(item, node.additional, lenient, _key(at, key), unknown)
    elif isinstance(value, list) and node.items is not None and node.items.has_embedded:
        for position, item in enumerate(value):
            _coerce(item, node.items, lenient, (at or field.path()).index(position), unknown)


def _coerce_resource(
    value: dict[str, Any], lenient: bool, at: Path | None, unknown: list[str]
) -> None:
    for key in ("apiVersion", "kind"):
        if key in value and not isinstance(value[key], str):
            if not lenient:
                raise BadMetadata(field.invalid(_child(at, key), value[key], "must be a string"))
            del value[key]
    if "metadata" not in value:
        return
    found: list[str] = []
    try:
        meta = read(value["metadata"], lenient=lenient, unknown=found)
    except DecodeError as error:
        if lenient:
            return
        detail = error.message
        raise BadMetadata(
            field.invalid(_child(at, "metadata"), value["metadata"], detail)
        ) from None
    prefix = "" if at is None else f"{at}."
    unknown += [prefix + text for text in found]
    value["metadata"] = msgspec.json.decode(msgspec.json.encode(meta))


def validate(value: Any, node: Structural, at: Path | None = None) -> list[FieldError]:
    """Errors in the metadata of embedded resources at and below ``value``."""
    errs: list[FieldError] = []
    if node.has_embedded or node.embedded:
        _validate(errs, value, node, at)
    return errs


def _validate(errs: list[FieldError], value: Any, node: Structural, at: Path | None) -> None:
    if isinstance(value, dict):
        if node.embedded:
            errs += _resource_errors(value, at)
        for key, item in value.items():
            below = node.properties.get(key)
            if below is not None and below.has_embedded:
                _validate(errs, item, below, _child(at, key))
            elif below is None and node.additional is not None and node.additional.has_embedded:
                _validate(errs, item, node.additional, _key(at, key))
    elif isinstance(value, list) and node.items is not None and node.items.has_embedded:
        for position, item in enumerate(value):
            _validate(errs, item, node.items, (at or field.path()).index(position))


def _resource_errors(value: dict[str, Any], at: Path | None) -> list[FieldError]:
    errs = [field.required(_child(at, key)) for key in ("apiVersion", "kind") if key not in value]
    for key in META_FIELDS:
        if key not in value:
            continue
        here, item = _child(at, key), value[key]
        if key == "metadata":
            errs += _metadata_errors(item, here)
        elif not isinstance(item, str):
            errs.append(field.invalid(here, item, "must be a string"))
        elif not item:
            errs.append(field.invalid(here, item, "must not be empty"))
        elif key == "apiVersion" and item.count("/") > 1:
            errs.append(field.invalid(here, item, f"unexpected GroupVersion string: {item}"))
        elif key == "kind":
            messages = names.is_dns1035_label(item.lower())
            if messages:
                detail = "may have mixed case, but should otherwise match: " + ",".join(messages)
                errs.append(field.invalid(here, item, detail))
    return errs


def _metadata_errors(item: Any, at: Path) -> list[FieldError]:
    try:
        meta = read(item, lenient=False)
    except DecodeError as error:
        return [field.invalid(at, item, error.message)]
    meta.name = meta.name or "fakename"
    return rules.validate_embedded(meta, at)


def _child(at: Path | None, name: str) -> Path:
    return field.path(name) if at is None else at.child(name)


def _key(at: Path | None, name: str) -> Path:
    return Path(f"[{name}]") if at is None else at.key(name)
