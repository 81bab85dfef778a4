"""Types of secret: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Default, Struct, always, constant


class Secret(Struct):
    kind: str = constant("Secret")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    immutable: bool | None = None
    data: dict[str, bytes] = {}
    stringData: dict[str, str] = {}
    type: Annotated[str, Default("Opaque")] = ""


RESOURCE = Resource(
    type=Secret,
    plural="secrets",
)
