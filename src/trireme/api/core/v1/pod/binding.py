"""Types of binding: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.references import ObjectReference
from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Required, Struct, always, constant


class Binding(Struct):
    kind: str = constant("Binding")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    target: Annotated[ObjectReference, Required()] = always(ObjectReference)


RESOURCE = Resource(
    type=Binding,
    plural="bindings",
    verbs=("create",),
)
