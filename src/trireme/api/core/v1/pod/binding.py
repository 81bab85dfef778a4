"""Types of binding: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.references import ObjectReference
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Required, Struct, always, constant


class Binding(Struct):
    kind: str = constant("Binding")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    target: Annotated[ObjectReference, Required()] = always(ObjectReference)


def validate(new: Binding) -> Errors:
    """Bound to what. Called by the ``binding`` subresource of pods and by POST of a Binding."""
    errs: Errors = []
    at, target = field.path("target"), new.target
    if target.kind not in ("", "Node"):
        errs.append(field.not_supported(at.child("kind"), target.kind, ["Node", "<empty>"]))
    if not target.name:
        errs.append(field.required(at.child("name")))
    return errs


RESOURCE = Resource(
    type=Binding,
    plural="bindings",
    verbs=("create",),
)
