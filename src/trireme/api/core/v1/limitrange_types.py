"""Types of LimitRange: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.types import Atomic, Quantity, Required, Struct, always, constant, null


class LimitRangeItem(Struct):
    type: Annotated[str, Required()] = always(str)
    max: dict[str, Quantity] = {}
    min: dict[str, Quantity] = {}
    default: dict[str, Quantity] = {}
    defaultRequest: dict[str, Quantity] = {}
    maxLimitRequestRatio: dict[str, Quantity] = {}


class LimitRangeSpec(Struct):
    limits: Annotated[list[LimitRangeItem] | None, Required(), Atomic()] = null()


class LimitRange(Struct):
    kind: str = constant("LimitRange")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: LimitRangeSpec = always(LimitRangeSpec)
