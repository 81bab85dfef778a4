"""Types of tokenrequest: see the API reference, authentication/v1."""

from __future__ import annotations

from typing import Annotated, Final

from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.types import Atomic, Default, Int64, Struct, Time, always, constant, null


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
    expirationTimestamp: Time | None = null()


class TokenRequest(Struct):
    kind: str = constant("TokenRequest")
    apiVersion: str = constant("authentication.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: TokenRequestSpec = always(TokenRequestSpec)
    status: TokenRequestStatus = always(TokenRequestStatus)


SHORTEST: Final = 600
LONGEST: Final = 1 << 32


def validate(new: TokenRequest) -> Errors:
    """The lifetime of the token. Called by the ``token`` subresource of service accounts."""
    seconds = new.spec.expirationSeconds or 0
    at = field.path("spec", "expirationSeconds")
    if seconds < SHORTEST:
        return [field.invalid(at, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > LONGEST:
        return [field.invalid(at, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []
