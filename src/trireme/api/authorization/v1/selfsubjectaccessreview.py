"""Types of selfsubjectaccessreview: see the API reference, authorization/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.authorization.v1 import checks
from trireme.api.authorization.v1.attributes import (
    NonResourceAttributes,
    ResourceAttributes,
    SubjectAccessReviewStatus,
)
from trireme.api.rules import Errors
from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Required, Struct, always, constant


class SelfSubjectAccessReviewSpec(Struct):
    resourceAttributes: ResourceAttributes | None = None
    nonResourceAttributes: NonResourceAttributes | None = None


class SelfSubjectAccessReview(Struct):
    kind: str = constant("SelfSubjectAccessReview")
    apiVersion: str = constant("authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[SelfSubjectAccessReviewSpec, Required()] = always(SelfSubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = always(SubjectAccessReviewStatus)


def validate(new: SelfSubjectAccessReview) -> Errors:
    """The attributes of the review."""
    errs: Errors = []
    checks.attributes(errs, new.spec.resourceAttributes, new.spec.nonResourceAttributes)
    checks.empty_metadata(errs, new.metadata)
    return errs


RESOURCE = Resource(
    type=SelfSubjectAccessReview,
    plural="selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    validate=validate,
)
