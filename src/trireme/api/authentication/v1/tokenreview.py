"""Types of tokenreview: see the API reference, authentication/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.authentication.v1.userinfo import UserInfo
from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Atomic, Required, Struct, always, constant


class TokenReviewSpec(Struct):
    token: Annotated[str, Required()] = ""
    audiences: Annotated[list[str], Atomic()] = []


class TokenReviewStatus(Struct):
    authenticated: bool = False
    user: UserInfo = always(UserInfo)
    audiences: Annotated[list[str], Atomic()] = []
    error: str = ""


class TokenReview(Struct):
    kind: str = constant("TokenReview")
    apiVersion: str = constant("authentication.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[TokenReviewSpec, Required()] = always(TokenReviewSpec)
    status: TokenReviewStatus = always(TokenReviewStatus)


RESOURCE = Resource(
    type=TokenReview,
    plural="tokenreviews",
    namespaced=False,
    verbs=("create",),
)
