"""The custom kinds that are served now, by the definitions that the store holds.

In: (group, version, plural) of a request. Out: its endpoint, made at the first use. Each look
compares the definition's revision, so a change is in force as soon as it is stored; ``lifecycle``
looks at every change as well, so that watches end when they should.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from trireme.api.apiextensions.v1 import types
from trireme.api.apiextensions.v1.types import (
    CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale,
)
from trireme.api.autoscaling.v1.scale import Scale as ScaleType
from trireme.apiserver.crd import columns, convert, custom, versions
from trireme.apiserver.crd.definition import Definition
from trireme.apiserver.crd.endpoint import SERVED, CustomEndpoint, Shared, relabelled
from trireme.apiserver.crd.validation import Validator, nested, warnings
from trireme.apiserver.hooks import Hooks
from trireme.expr import jsonpath
from trireme.kit.env import Env
from trireme.machinery import errors, gotext, names
from trireme.machinery.resource import (
    Conversion,
    Resource,
    Scale,
    Subresource,
    status,
)
from trireme.store.contract import Store

ROOT = "/registry/customresourcedefinitions.apiextensions.k8s.io/"

Key = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class CustomVersion:
    """A served version, as discovery and OpenAPI list it; its schema is not looked at."""

    resource: Resource
    served: tuple[str, ...] = SERVED


class CustomKinds:
    """All custom kinds of one API server."""

    def __init__(self, store: Store, env: Env, hooks: Hooks) -> None:
        self._store, self._env, self._hooks = store, env, hooks
        self._known: dict[str, CustomKind] = {}
        # Counts the changes of what is served: documents made from it are made anew.
        self.changes = 0
        self._served_versions: tuple[int, tuple[CustomVersion, ...]] | None = None

    def endpoint(self, group: str, version: str, plural: str) -> CustomEndpoint | None:
        """The endpoint of a served version, or None."""
        kind = self.lookup(f"{plural}.{group}")
        return None if kind is None else kind.endpoint(version)

    def definition(self, name: str) -> Definition | None:
        """A definition as it is stored now."""
        kind = self.lookup(name)
        return None if kind is None else kind.definition

    def lookup(self, name: str) -> CustomKind | None:
        """The kind by its definition's name, brought up to date."""
        item = self._store.get(ROOT + name)
        kind = self._known.get(name)
        if item is None:
            if kind is not None:
                del self._known[name]
                kind.stop()
                self.changes += 1
            return None
        if kind is not None and kind.definition.revision == item.revision:
            return kind
        definition = Definition(item.value, item.revision)
        if kind is not None and kind.update(definition):
            self.changes += kind.discovery_changed
            return kind
        new = CustomKind(definition, self._store, self._env, self._hooks, kind is not None)
        self._known[name] = new
        self.changes += 1
        if kind is not None:
            kind.stop()
        return new

    def all(self) -> list[CustomKind]:
        """Every kind whose names are accepted, by the name of its definition."""
        found = (self.lookup(item.key[len(ROOT) :]) for item in self._store.list(ROOT).items)
        return [kind for kind in found if kind is not None and kind.is_served]

    def served_versions(self) -> tuple[CustomVersion, ...]:
        """What discovery and OpenAPI list: the same objects as long as nothing changes."""
        kinds = self.all()
        if self._served_versions is None or self._served_versions[0] != self.changes:
            self._served_versions = (
                self.changes,
                tuple(each for kind in kinds for each in kind.served_versions()),
            )
        return self._served_versions[1]

    def versions_of(self, name: str) -> list[CustomEndpoint]:
        """The endpoints of all served versions of a kind, by its definition's name."""
        kind = self.lookup(name)
        if kind is None:
            return []
        served = (item.name for item in kind.definition.spec.versions if item.served)
        return [found for version in served if (found := kind.endpoint(version)) is not None]

    def endpoints_in_use(self) -> Iterator[CustomEndpoint]:
        """The endpoints that have been made."""
        for kind in list(self._known.values()):
            yield from list(kind.endpoints.values())


class CustomKind:
    """One definition and its endpoints."""

    def __init__(
        self, definition: Definition, store: Store, env: Env, hooks: Hooks, changed: bool
    ) -> None:
        self.definition = definition
        self._store, self._env, self._hooks = store, env, hooks
        self.endpoints: dict[str, CustomEndpoint] = {}
        self._shared: Shared | None = None
        # Whether discovery of the newest definition differs from that of the one before.
        self.discovery_changed = False
        self._versions: list[CustomVersion] | None = None
        # Objects that are there already may have been written under another schema.
        since = changed or definition.meta.generation != 1
        self._stale_until = store.revision if since else 0

    def update(self, definition: Definition) -> bool:
        """Take over a newer definition, if it serves the same; whether it does."""
        if not self.definition.serves_like(definition):
            return False
        before = self._discovery_state
        self.definition = definition
        self.discovery_changed = self._discovery_state != before
        if self.discovery_changed:
            self._versions = None
        return True

    @property
    def _discovery_state(self) -> tuple[bool, bool]:
        return self.is_served, self.definition.is_true(types.TERMINATING)

    def stop(self) -> None:
        """The definition is gone, or serves something else: watches end."""
        if self._shared is not None:
            self._shared.end_watches()

    @property
    def is_served(self) -> bool:
        definition = self.definition
        return definition.is_true(types.ESTABLISHED) or definition.is_true(types.NAMES_ACCEPTED)

    def endpoint(self, version: str) -> CustomEndpoint | None:
        if self.definition.version(version) is None or not self.is_served:
            return None
        if self._shared is None:
            self._make()
        return self.endpoints.get(version)

    def hub(self) -> CustomEndpoint:
        """The endpoint of the stored version, served or not."""
        if self._shared is None:
            self._make()
        return self.endpoints[self.definition.storage]

    def served_versions(self) -> list[CustomVersion]:
        """The served versions, without their schemas."""
        if self._versions is None:
            definition = self.definition
            self._versions = [
                CustomVersion(_discovery_resource(definition, version))
                for version in definition.spec.versions
                if version.served
            ]
        return self._versions

    def _make(self) -> None:
        full = self.definition.full()
        spec = full.spec
        conversion = spec.conversion
        converter: convert.Converter = convert.relabel
        if conversion is not None and conversion.strategy == "Webhook":
            converter = convert.WebhookConverter(
                full.metadata.name, conversion, self._hooks, self._env.uid
            )
        validators: dict[str, Validator] = {}
        for version in spec.versions:
            schema = types.schema_of(version)
            validators[version.name] = Validator(
                f"{spec.group}/{version.name}",
                self.definition.names.kind,
                None if schema is None else msgspec.to_builtins(schema),
                None if version.subresources is None else version.subresources.scale,
            )
        count = self._store.count(f"/registry/{self.definition.names.plural}.{spec.group}/")
        stale = self._stale_until if count else 0
        shared = self._shared = Shared(spec.preserveUnknownFields, converter, validators, stale)
        stored = next(item for item in spec.versions if item.storage)
        hub = self._endpoint(stored, shared, None)
        for version in spec.versions:
            if version is not stored:
                self._endpoint(version, shared, hub)

    def _prepare(self, has_status: bool) -> Any:
        def prepare(obj: custom.CustomObject) -> None:
            if self.definition.is_true(types.TERMINATING):
                raise errors.forbidden(
                    f"{self.definition.names.plural}.{self.definition.spec.group}",
                    obj.metadata.name,
                    "create not allowed while custom resource definition is terminating",
                )
            if has_status:
                obj.pop("status", None)

        return prepare

    def _endpoint(
        self,
        version: CustomResourceDefinitionVersion,
        shared: Shared,
        hub: CustomEndpoint | None,
    ) -> CustomEndpoint:
        definition, validator = self.definition, shared.validators[version.name]
        api_version = f"{definition.spec.group}/{version.name}"
        kind = custom.kind_of(api_version, definition.names.kind)
        parts = version.subresources
        has_status = parts is not None and parts.status is not None
        scale = None if parts is None else parts.scale
        conversion = None
        if hub is not None:
            stored = hub.resource
            to_stored = relabelled(stored.type, stored.api_version)
            conversion = Conversion(stored, to_stored, relabelled(kind, api_version))
        base = _discovery_resource(definition, definition_version(definition, version.name))
        resource = Resource(
            type=kind,
            plural=base.plural,
            singular=base.singular,
            namespaced=base.namespaced,
            short_names=base.short_names,
            categories=base.categories,
            subresources=base.subresources,
            scale=None if scale is None else _scale(scale),
            prepare_create=self._prepare(has_status),
            validate=validator.validate,
            validate_update=validator.validate_update,
            validate_status=validator.validate_status,
            warnings=warnings,
            name_errors=names.is_dns1123_subdomain,
            unconditional_update=False,
            generation=_changed,
            status_on_create=True,
            short_finalizers=False,
            reset_fields={
                "": ("status",) if has_status else (),
                "status": ("metadata", "spec"),
            },
            stored_as=conversion,
            columns=columns.of(version.additionalPrinterColumns),
            printed=custom.CustomObject.plain,
            selectable=_selectable(version),
        )
        served_versions = versions.deprecation(definition, version.name)
        endpoint = CustomEndpoint(resource, shared, hub, definition.names.listKind, served_versions)
        self.endpoints[version.name] = endpoint
        return endpoint


def definition_version(definition: Definition, name: str) -> Any:
    """The version of that name, served or not."""
    return next(item for item in definition.spec.versions if item.name == name)


def _discovery_resource(definition: Definition, version: Any) -> Resource:
    """A version as discovery lists it."""
    accepted = definition.names
    parts: list[Subresource] = []
    if version.subresources is not None:
        if version.subresources.status is not None:
            parts.append(status())
        if version.subresources.scale is not None:
            parts.append(Subresource("scale", ("get", "patch", "update"), ScaleType))
    verbs: tuple[str, ...]
    verbs = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    if definition.is_true(types.TERMINATING):
        verbs = ("delete", "deletecollection", "get", "list", "watch")
    return Resource(
        type=custom.kind_of(f"{definition.spec.group}/{version.name}", accepted.kind),
        plural=accepted.plural,
        singular=accepted.singular,
        namespaced=definition.namespaced,
        short_names=tuple(accepted.shortNames),
        categories=tuple(accepted.categories),
        verbs=verbs,
        subresources=tuple(parts),
    )


def _selectable(version: CustomResourceDefinitionVersion) -> dict[str, Any]:
    return {
        item.jsonPath.removeprefix("."): _reader(jsonpath.parse(item.jsonPath))
        for item in version.selectableFields
    }


def _reader(path: jsonpath.JsonPath) -> Any:
    def read(obj: custom.CustomObject) -> str:
        found = path.find(obj)
        return gotext.plain(found[0]) if found and found[0] is not None else ""

    return read


def _scale(given: CustomResourceSubresourceScale) -> Scale:
    steps = given.specReplicasPath.removeprefix(".").split(".")

    def count(path: str) -> Any:
        return lambda obj: nested(obj, path, int, "int64")[0]

    def selector(obj: custom.CustomObject) -> str:
        path = given.labelSelectorPath
        return (nested(obj, path, str, "string")[0] or "") if path else ""

    def write(obj: custom.CustomObject, value: int) -> None:
        here: Any = obj
        for step in steps[:-1]:
            here = here.setdefault(step, {})
        here[steps[-1]] = value

    return Scale(
        selector=selector,
        status_replicas=lambda obj: count(given.statusReplicasPath)(obj) or 0,
        spec_replicas=count(given.specReplicasPath),
        set_replicas=write,
        path=tuple(f"f:{step}" for step in steps),
        required=given.specReplicasPath,
    )


def _changed(new: custom.CustomObject, old: custom.CustomObject) -> bool:
    """Everything but metadata counts."""
    return {**new, "metadata": None} != {**old, "metadata": None}
