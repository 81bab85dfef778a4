"""Types of ResourceQuota: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.selection import ResourceQuotaScope, ScopeSelector
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Quantity,
    Struct,
    always,
    constant,
)


class ResourceQuotaSpec(Struct):
    hard: dict[str, Quantity] = {}
    scopes: Annotated[list[ResourceQuotaScope], Atomic()] = []
    scopeSelector: ScopeSelector | None = None


class ResourceQuotaStatus(Struct):
    hard: dict[str, Quantity] = {}
    used: dict[str, Quantity] = {}


class ResourceQuota(Struct):
    kind: str = constant("ResourceQuota")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ResourceQuotaSpec = always(ResourceQuotaSpec)
    status: ResourceQuotaStatus = always(ResourceQuotaStatus)
