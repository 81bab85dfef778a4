"""Types of configmap: see the API reference, core/v1."""

from __future__ import annotations

from typing import Final

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Struct, always, constant


class ConfigMap(Struct):
    kind: str = constant("ConfigMap")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    immutable: bool | None = None
    data: dict[str, str] = {}
    binaryData: dict[str, bytes] = {}


MAX_SIZE: Final = 1 << 20


def validate(new: ConfigMap) -> Errors:
    """Keys are file names, in one of the two maps; the values together are bounded."""
    errs: Errors = []
    size = 0
    for key, text in new.data.items():
        messages = names.is_config_key(key)
        if messages:
            rules.add(errs, field.path("data").key(key), key, messages)
        if key in new.binaryData:
            detail = "duplicate of key present in binaryData"
            errs.append(field.invalid(field.path("data").key(key), key, detail))
        size += len(text) if text.isascii() else len(text.encode())
    for key, data in new.binaryData.items():
        messages = names.is_config_key(key)
        if messages:
            rules.add(errs, field.path("binaryData").key(key), key, messages)
        size += len(data)
    if size > MAX_SIZE:
        errs.append(field.too_long(field.path("[]"), MAX_SIZE))
    return errs


def validate_update(new: ConfigMap, old: ConfigMap) -> Errors:
    """Once immutable, nothing but the metadata changes."""
    errs: Errors = []
    if old.immutable:
        detail = "field is immutable when `immutable` is set"
        if not new.immutable:
            errs.append(field.forbidden(field.path("immutable"), detail))
        if new.data != old.data:
            errs.append(field.forbidden(field.path("data"), detail))
        if new.binaryData != old.binaryData:
            errs.append(field.forbidden(field.path("binaryData"), detail))
    return errs + validate(new)


RESOURCE = Resource(
    type=ConfigMap,
    plural="configmaps",
    short_names=("cm",),
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Data", lambda obj: len(obj.data) + len(obj.binaryData), "How many keys it holds."),
        columns.AGE,
    ),
)
