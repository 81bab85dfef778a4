"""Types of tokenrequest: see the API reference, authentication/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.types import Atomic, Default, Int64, Struct, Time, always, constant


class BoundObjectReference(Struct):
    kind: str = ""
    apiVersion: str = ""
    name: str = ""
    uid: str = ""


class TokenRequestSpec(Struct):
    audiences: Annotated[list[str], Atomic()] = always(list)
    expirationSeconds: Annotated[Int64 | None, Default(3600)] = None
    boundObjectRef: BoundObjectReference | None = None


class TokenRequestStatus(Struct):
    token: str = always(str)
    expirationTimestamp: Time | None = None


class TokenRequest(Struct):
    kind: str = constant("TokenRequest")
    apiVersion: str = constant("authentication.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: TokenRequestSpec = always(TokenRequestSpec)
    status: TokenRequestStatus = always(TokenRequestStatus)
