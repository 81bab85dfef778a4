"""Types of priorityclass: see the API reference, scheduling/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Default, Int32, Struct, always, constant


class PriorityClass(Struct):
    kind: str = constant("PriorityClass")
    apiVersion: str = constant("scheduling.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    value: Int32 = always(int)
    globalDefault: bool = False
    description: str = ""
    preemptionPolicy: Annotated[str | None, Default("PreemptLowerPriority")] = None


RESOURCE = Resource(
    type=PriorityClass,
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
)
