"""Types of serviceaccount: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.authentication.v1.tokenrequest import TokenRequest
from trireme.api.core.v1.references import LocalObjectReference, ObjectReference
from trireme.machinery import meta
from trireme.machinery.resource import Resource, Subresource
from trireme.machinery.types import Atomic, Merge, Struct, always, constant, listmap


class ServiceAccount(Struct):
    kind: str = constant("ServiceAccount")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    secrets: Annotated[list[ObjectReference], listmap("name"), Merge("name")] = []
    imagePullSecrets: Annotated[list[LocalObjectReference], Atomic()] = []
    automountServiceAccountToken: bool | None = None


RESOURCE = Resource(
    type=ServiceAccount,
    plural="serviceaccounts",
    short_names=("sa",),
    subresources=(Subresource("token", ("create",), TokenRequest),),
)
