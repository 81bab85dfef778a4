"""The rules of a custom kind's objects in one version: schema, lists, embedded metadata, scale.

In: objects as ``CustomObject``. Out: field errors, in upstream's order. Upstream:
registry/customresource/strategy.go and validator.go.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from trireme.api.apiextensions.schema import lists, metadata, rules, structural
from trireme.api.apiextensions.schema.openapi import Checker, Correlated
from trireme.api.apiextensions.schema.structural import Schema
from trireme.api.apiextensions.v1.types import CustomResourceSubresourceScale
from trireme.api.rules import Errors
from trireme.apiserver.crd.custom import CustomObject
from trireme.machinery import field, gotext, names
from trireme.machinery.field import Path

_INT32_MAX: Final = 2**31 - 1
_STANDARD: Final = ("orphan", "foregroundDeletion", "kubernetes")
_FINALIZERS = "metadata.finalizers"


class Validator:
    """One version's rules; the schema is compiled when the first object comes."""

    def __init__(
        self,
        api_version: str,
        kind: str,
        schema: Schema | None,
        scale: CustomResourceSubresourceScale | None,
    ) -> None:
        self._identity = api_version, kind
        self._schema = schema
        self._scale = scale
        # A schema may restrict the name, and then has to see metadata as plain JSON.
        self._validates_metadata = "metadata" in (schema or {}).get("properties", {})

    @cached_property
    def node(self) -> structural.Structural:
        return structural.of(self._schema or {})

    @cached_property
    def _checker(self) -> Checker:
        return Checker(self._schema or {})

    @cached_property
    def _ruled(self) -> rules.Ruled | None:
        return rules.of(self.node, True)

    def validate(self, new: CustomObject) -> Errors:
        """Errors of a new object."""
        errs = self._types(new)
        if errs or new.is_validated:
            return errs
        errs = self._checker.validate(self._plain(new))
        errs += self._spec_replicas(new) + self._status_replicas(new)
        errs += metadata.validate(new, self.node)
        errs += lists.validate(new, self.node)
        return errs + self._rules(new, None, errs)

    def validate_update(self, new: CustomObject, old: CustomObject) -> Errors:
        """Errors of a changed object; what did not change may stay wrong."""
        errs = self._types(new)
        if errs or new.is_validated:
            return errs
        errs = self._checker.validate_update(self._plain(new), self._plain(old))
        errs += self._spec_replicas(new) + self._status_replicas(new)
        errs += metadata.validate(new, self.node)
        errs += self._lists(new, old)
        return errs + self._rules(new, old, errs)

    def validate_status(self, new: CustomObject, old: CustomObject) -> Errors:
        """Errors of a changed status."""
        errs = self._types(new)
        if errs or new.is_validated:
            return errs
        checker = self._checker.properties.get("status")
        if "status" in new and checker is not None:
            errs += checker.validate_update(new["status"], old.get("status"), field.path("status"))
        errs += self._status_replicas(new)
        errs += self._lists(new, old)
        return errs + self._rules(new, old, errs)

    def _rules(self, new: CustomObject, old: CustomObject | None, errs: Errors) -> Errors:
        """Errors of the CEL rules, unless the object is so wrong that they cannot be asked."""
        if self._ruled is None:
            return []
        if rules.is_blocked(errs):
            return [rules.blocked()]
        value = new.plain()
        if old is None:
            return self._ruled.validate(value, None, None, None)
        before = old.plain()
        warned: list[str] = []
        found = self._ruled.validate(value, before, None, Correlated(value, before), warned)
        new.warned = tuple(warned)
        return found

    def _lists(self, new: CustomObject, old: CustomObject) -> Errors:
        found = lists.validate(new, self.node)
        return found if found and not lists.validate(old, self.node) else []

    def _plain(self, obj: CustomObject) -> dict[str, Any]:
        return obj.plain() if self._validates_metadata else dict(obj)

    def _types(self, obj: CustomObject) -> Errors:
        api_version, kind = self._identity
        errs: Errors = []
        if obj.kind != kind:
            errs.append(field.invalid(field.path("kind"), obj.kind, f"must be {kind}"))
        if obj.apiVersion != api_version:
            at = field.path("apiVersion")
            errs.append(field.invalid(at, obj.apiVersion, f"must be {api_version}"))
        return errs

    def _spec_replicas(self, obj: CustomObject) -> Errors:
        return [] if self._scale is None else _replicas(obj, self._scale.specReplicasPath)

    def _status_replicas(self, obj: CustomObject) -> Errors:
        if self._scale is None:
            return []
        errs = _replicas(obj, self._scale.statusReplicasPath)
        path = self._scale.labelSelectorPath
        if path is not None:
            value, problem = nested(obj, path, str, "string")
            if problem:
                errs.append(field.invalid(Path(path), value or "", problem))
        return errs


def warnings(new: CustomObject, old: CustomObject | None) -> list[str]:
    """Rules that go on failing, and finalizers of this write that may clash with others'."""
    return [*new.warned, *_finalizer_warnings(new, old)]


def _finalizer_warnings(new: CustomObject, old: CustomObject | None) -> list[str]:
    before = set() if old is None else set(old.metadata.finalizers)
    found: list[str] = []
    for name in sorted({*new.metadata.finalizers} - before):
        printed = gotext.quote(name)
        found += [f"{_FINALIZERS}: {printed}: {detail}" for detail in names.is_qualified_name(name)]
        if "/" not in name and name not in _STANDARD:
            path = " including a path (/)" if "." in name else ""
            found.append(
                f"{_FINALIZERS}: {printed}: prefer a domain-qualified finalizer name{path} to "
                "avoid accidental conflicts with other finalizer writers"
            )
    return found


def nested(obj: Any, path: str, kind: type, name: str) -> tuple[Any, str]:
    """The value at a simple path (None where there is none), or what is wrong with it."""
    steps = path.removeprefix(".").split(".")
    here = obj
    for step in steps:
        if not isinstance(here, dict):
            printed = f"{gotext.plain(here)} is of the type {_go_type(here)}"
            text = (
                f".{'.'.join(steps)} accessor error: {printed}, expected map[string]interface {{}}"
            )
            return None, text
        if step not in here:
            return None, ""
        here = here[step]
    if type(here) is kind:
        return here, ""
    printed = f"{gotext.plain(here)} is of the type {_go_type(here)}"
    return None, f".{'.'.join(steps)} accessor error: {printed}, expected {name}"


def _replicas(obj: CustomObject, path: str) -> Errors:
    value, problem = nested(obj, path, int, "int64")
    at = Path(path)
    if problem:
        return [field.invalid(at, 0, problem)]
    count = value or 0
    if count < 0:
        return [field.invalid(at, count, "should be a non-negative integer")]
    if count > _INT32_MAX:
        detail = f"should be less than or equal to {_INT32_MAX}"
        return [field.invalid(at, count, detail)]
    return []


def _go_type(value: Any) -> str:
    names = {
        str: "string", bool: "bool", int: "int64", float: "float64",
        list: "[]interface {}", type(None): "<nil>",
    }  # fmt: skip
    return names.get(type(value), "map[string]interface {}")
