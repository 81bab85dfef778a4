"""Types of selfsubjectreview: see the API reference, authentication/v1."""

from __future__ import annotations

from trireme.api.authentication.v1.userinfo import UserInfo
from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Struct, always, constant


class SelfSubjectReviewStatus(Struct):
    userInfo: UserInfo = always(UserInfo)


class SelfSubjectReview(Struct):
    kind: str = constant("SelfSubjectReview")
    apiVersion: str = constant("authentication.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    status: SelfSubjectReviewStatus = always(SelfSubjectReviewStatus)


RESOURCE = Resource(
    type=SelfSubjectReview,
    plural="selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
)
