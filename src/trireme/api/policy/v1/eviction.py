"""Types of eviction: see the API reference, policy/v1."""

from __future__ import annotations

from trireme.machinery import meta
from trireme.machinery.meta import DeleteOptions
from trireme.machinery.types import Struct, always, constant


class Eviction(Struct):
    kind: str = constant("Eviction")
    apiVersion: str = constant("policy/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    deleteOptions: DeleteOptions | None = None
