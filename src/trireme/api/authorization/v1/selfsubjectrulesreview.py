"""Types of selfsubjectrulesreview: see the API reference, authorization/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Atomic, Required, Struct, always, constant


class NonResourceRule(Struct):
    verbs: Annotated[list[str], Required(), Atomic()] = always(list)
    nonResourceURLs: Annotated[list[str], Atomic()] = []


class ResourceRule(Struct):
    verbs: Annotated[list[str], Required(), Atomic()] = always(list)
    apiGroups: Annotated[list[str], Atomic()] = []
    resources: Annotated[list[str], Atomic()] = []
    resourceNames: Annotated[list[str], Atomic()] = []


class SelfSubjectRulesReviewSpec(Struct):
    namespace: str = ""


class SubjectRulesReviewStatus(Struct):
    resourceRules: Annotated[list[ResourceRule], Required(), Atomic()] = always(list)
    nonResourceRules: Annotated[list[NonResourceRule], Required(), Atomic()] = always(list)
    incomplete: Annotated[bool, Required()] = always(bool)
    evaluationError: str = ""


class SelfSubjectRulesReview(Struct):
    kind: str = constant("SelfSubjectRulesReview")
    apiVersion: str = constant("authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[SelfSubjectRulesReviewSpec, Required()] = always(SelfSubjectRulesReviewSpec)
    status: SubjectRulesReviewStatus = always(SubjectRulesReviewStatus)


RESOURCE = Resource(
    type=SelfSubjectRulesReview,
    plural="selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
)
