"""Types of references: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Atomic, Required, Struct, always, atomic, null


@atomic
class LocalObjectReference(Struct):
    name: str = ""


@atomic
class TypedLocalObjectReference(Struct):
    apiGroup: str | None = null()
    kind: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)


class TypedObjectReference(Struct):
    apiGroup: str | None = null()
    kind: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    namespace: str | None = None


@atomic
class ObjectReference(Struct):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    apiVersion: str = ""
    resourceVersion: str = ""
    fieldPath: str = ""


@atomic
class SecretReference(Struct):
    name: str = ""
    namespace: str = ""


class TopologySelectorLabelRequirement(Struct):
    key: Annotated[str, Required()] = always(str)
    values: Annotated[list[str], Required(), Atomic()] = always(list)


@atomic
class TopologySelectorTerm(Struct):
    matchLabelExpressions: Annotated[list[TopologySelectorLabelRequirement], Atomic()] = []
