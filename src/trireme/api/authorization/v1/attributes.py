"""Types of attributes: see the API reference, authorization/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.types import Atomic, Required, Struct, always


class FieldSelectorAttributes(Struct):
    rawSelector: str = ""
    requirements: Annotated[list[meta.FieldSelectorRequirement], Atomic()] = []


class LabelSelectorAttributes(Struct):
    rawSelector: str = ""
    requirements: Annotated[list[meta.LabelSelectorRequirement], Atomic()] = []


class NonResourceAttributes(Struct):
    path: str = ""
    verb: str = ""


class ResourceAttributes(Struct):
    namespace: str = ""
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    fieldSelector: FieldSelectorAttributes | None = None
    labelSelector: LabelSelectorAttributes | None = None


class SubjectAccessReviewSpec(Struct):
    resourceAttributes: ResourceAttributes | None = None
    nonResourceAttributes: NonResourceAttributes | None = None
    user: str = ""
    groups: Annotated[list[str], Atomic()] = []
    extra: dict[str, list[str]] = {}
    uid: str = ""


class SubjectAccessReviewStatus(Struct):
    allowed: Annotated[bool, Required()] = always(bool)
    denied: bool = False
    reason: str = ""
    evaluationError: str = ""
