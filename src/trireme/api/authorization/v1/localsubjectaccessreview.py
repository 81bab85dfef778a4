"""Types of localsubjectaccessreview: see the API reference, authorization/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.authorization.v1 import checks
from trireme.api.authorization.v1.attributes import (
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
)
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Required, Struct, always, constant


class LocalSubjectAccessReview(Struct):
    kind: str = constant("LocalSubjectAccessReview")
    apiVersion: str = constant("authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[SubjectAccessReviewSpec, Required()] = always(SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = always(SubjectAccessReviewStatus)


def validate(new: LocalSubjectAccessReview) -> Errors:
    """As the cluster-wide review, within the namespace."""
    errs: Errors = []
    checks.subject(errs, new.spec)
    checks.empty_metadata(errs, new.metadata, but_namespace=True)
    at, spec = field.path("spec"), new.spec
    if spec.resourceAttributes is not None:
        namespace = spec.resourceAttributes.namespace
        if namespace != new.metadata.namespace:
            where = at.child("resourceAttributes", "namespace")
            errs.append(field.invalid(where, namespace, "must match metadata.namespace"))
    if spec.nonResourceAttributes is not None:
        where, detail = at.child("nonResourceAttributes"), "disallowed on this kind of request"
        errs.append(field.invalid(where, spec.nonResourceAttributes, detail))
    return errs


RESOURCE = Resource(
    type=LocalSubjectAccessReview,
    plural="localsubjectaccessreviews",
    verbs=("create",),
    validate=validate,
)
