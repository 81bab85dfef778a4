"""Types of secret: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from trireme.api import columns, rules
from trireme.api.core.v1 import key_pairs
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Default, Struct, always, constant


class Secret(Struct):
    kind: str = constant("Secret")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    immutable: bool | None = None
    data: dict[str, bytes] = {}
    stringData: dict[str, str] = {}
    type: Annotated[str, Default("Opaque")] = ""


MAX_SIZE: Final = 1 << 20
ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"
# Keys that a type must have, and those of which it must have one.
_ALL_OF: Final = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ANY_OF: Final = {"kubernetes.io/basic-auth": ("username", "password")}
_NOT_EMPTY: Final = {"kubernetes.io/ssh-auth": "ssh-privatekey"}
_JSON: Final = ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson")


def defaults(obj: Secret) -> None:
    """``stringData`` is a way to write ``data``; it is never stored."""
    for key, text in obj.stringData.items():
        obj.data[key] = text.encode()
    obj.stringData = {}


def prepare_update(new: Secret, old: Secret) -> None:
    """An update without a type keeps the stored one."""
    new.type = new.type or old.type


def validate(new: Secret) -> Errors:
    """Keys are file names, the values together are bounded, and the type's keys are there."""
    errs: Errors = []
    at = field.path("data")
    for key in new.data:
        messages = names.is_config_key(key)
        if messages:
            rules.add(errs, at.key(key), key, messages)
    if sum(len(value) for value in new.data.values()) > MAX_SIZE:
        errs.append(field.too_long(at, MAX_SIZE))
    if new.type == "kubernetes.io/service-account-token":
        if not new.metadata.annotations.get(ACCOUNT_NAME):
            where = field.path("metadata", "annotations").key(ACCOUNT_NAME)
            errs.append(field.required(where))
        return errs
    missing = [key for key in _ALL_OF.get(new.type, ()) if key not in new.data]
    choices = _ANY_OF.get(new.type, ())
    if choices and not any(key in new.data for key in choices):
        missing += choices
    expected = _NOT_EMPTY.get(new.type)
    if expected is not None and not new.data.get(expected):
        missing.append(expected)
    errs += [field.required(at.key(key)) for key in missing]
    if new.type in _JSON and not missing:
        key = _ALL_OF[new.type][0]
        try:
            msgspec.json.decode(new.data[key], type=dict[str, Any] | None)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            bad_value = "<secret contents redacted>"
            errs.append(field.invalid(at.key(key), bad_value, str(error)))
    return errs


def validate_update(new: Secret, old: Secret) -> Errors:
    """The type stays; once immutable, nothing but the metadata changes."""
    errs: Errors = []
    rules.unchanged(errs, field.path(), "type", new.type, old.type)
    if old.immutable:
        detail = "field is immutable when `immutable` is set"
        if not new.immutable:
            errs.append(field.forbidden(field.path("immutable"), detail))
        if new.data != old.data:
            errs.append(field.forbidden(field.path("data"), detail))
    return errs + validate(new)


def warnings(new: Secret, _old: Secret | None) -> list[str]:
    """A certificate and a key that do not match."""
    if new.type != "kubernetes.io/tls":
        return []
    problem = key_pairs.problem(new.data.get("tls.crt", b""), new.data.get("tls.key", b""))
    return [problem] if problem else []


RESOURCE = Resource(
    type=Secret,
    plural="secrets",
    defaults=defaults,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        columns.NAME,
        Column("Type", "type", "What programs may expect in it."),
        Column("Data", lambda obj: len(obj.data), "How many keys it holds."),
        columns.AGE,
    ),
    selectable={"type": lambda obj: obj.type},
)
