"""What serving a custom kind needs to know of its definition, without its schemas.

In: the stored bytes of a CustomResourceDefinition. Out: a ``Definition``; the schemas stay bytes
until somebody uses the kind, so that thousands of definitions cost little.
"""

from __future__ import annotations

from functools import cached_property

import msgspec

from trireme.api.apiextensions.v1.rules import approval
from trireme.api.apiextensions.v1.types import (
    APPROVED,
    ESTABLISHED,
    NAMES_ACCEPTED,
    CustomResourceDefinition,
)


class Names(msgspec.Struct):
    plural: str = ""
    singular: str = ""
    shortNames: list[str] = []
    kind: str = ""
    listKind: str = ""
    categories: list[str] = []


class _Scale(msgspec.Struct):
    pass


class _Subresources(msgspec.Struct):
    status: _Scale | None = None
    scale: _Scale | None = None


class Version(msgspec.Struct):
    name: str
    served: bool = False
    storage: bool = False
    deprecated: bool = False
    deprecationWarning: str | None = None
    subresources: _Subresources | None = None


class _Spec(msgspec.Struct):
    group: str
    scope: str
    names: Names
    versions: list[Version]
    preserveUnknownFields: bool = False


class _Condition(msgspec.Struct):
    type: str
    status: str
    message: str = ""


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None
    acceptedNames: Names = msgspec.field(default_factory=Names)


class _Meta(msgspec.Struct):
    name: str
    uid: str = ""
    generation: int = 0
    deletionTimestamp: str | None = None
    finalizers: list[str] = []
    annotations: dict[str, str] = {}


class _Whole(msgspec.Struct):
    metadata: _Meta
    spec: msgspec.Raw
    status: _Status


_whole = msgspec.json.Decoder(_Whole).decode
_spec = msgspec.json.Decoder(_Spec).decode
_full = msgspec.json.Decoder(CustomResourceDefinition).decode


class Definition:
    """One definition at one revision."""

    def __init__(self, value: bytes, revision: int) -> None:
        self.value, self.revision = value, revision
        whole = _whole(value)
        self.raw_spec = whole.spec
        self.spec = _spec(whole.spec)
        self.meta = whole.metadata
        self.names = whole.status.acceptedNames
        self.conditions = {item.type: item for item in whole.status.conditions or ()}

    def is_true(self, kind: str) -> bool:
        """Whether the condition is True."""
        found = self.conditions.get(kind)
        return found is not None and found.status == "True"

    def is_synced(self) -> bool:
        """Whether the status is up to date; nearly always so."""
        return (
            self.names == self.spec.names
            and self.is_true(ESTABLISHED)
            and self.is_true(NAMES_ACCEPTED)
            and not self.spec.preserveUnknownFields
            and (
                not approval.is_protected(self.spec.group)
                or self._approval() == approval.state(self.meta.annotations)[1]
            )
        )

    def _approval(self) -> str:
        found = self.conditions.get(APPROVED)
        return "" if found is None else found.message

    @property
    def namespaced(self) -> bool:
        return self.spec.scope == "Namespaced"

    @cached_property
    def storage(self) -> str:
        """The version that is stored."""
        return next((item.name for item in self.spec.versions if item.storage), "")

    def version(self, name: str) -> Version | None:
        """The version, if it is served."""
        for item in self.spec.versions:
            if item.name == name:
                return item if item.served else None
        return None

    def full(self) -> CustomResourceDefinition:
        """The whole definition, decoded for this call."""
        return _full(self.value)

    def serves_like(self, other: Definition) -> bool:
        """Whether what is served is the same; anything else ends watches, as upstream does."""
        return bytes(self.raw_spec) == bytes(other.raw_spec) and self.names == other.names
