"""Types of subjectaccessreview: see the API reference, authorization/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.authorization.v1 import checks
from trireme.api.authorization.v1.attributes import (
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
)
from trireme.api.rules import Errors
from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Required, Struct, always, constant


class SubjectAccessReview(Struct):
    kind: str = constant("SubjectAccessReview")
    apiVersion: str = constant("authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[SubjectAccessReviewSpec, Required()] = always(SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = always(SubjectAccessReviewStatus)


def validate(new: SubjectAccessReview) -> Errors:
    """The subject and attributes of the review."""
    errs: Errors = []
    checks.subject(errs, new.spec)
    checks.empty_metadata(errs, new.metadata)
    return errs


RESOURCE = Resource(
    type=SubjectAccessReview,
    plural="subjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    validate=validate,
)
