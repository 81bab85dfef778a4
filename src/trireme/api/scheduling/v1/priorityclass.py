"""Types of priorityclass: see the API reference, scheduling/v1."""

from __future__ import annotations

from typing import Annotated, Any

from trireme.api import columns
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Default, Int32, Struct, always, constant


class PriorityClass(Struct):
    kind: str = constant("PriorityClass")
    apiVersion: str = constant("scheduling.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    value: Int32 = always(int)
    globalDefault: bool = False
    description: str = ""
    preemptionPolicy: Annotated[str | None, Default("PreemptLowerPriority")] = None


COLUMNS = (
    columns.NAME,
    Column("Value", "integer", description="The priority of the pods that name this class."),
    Column("Global-Default", "boolean", description="Whether pods that name none get it."),
    columns.AGE,
    Column("PreemptionPolicy", priority=1, description="Whether its pods may displace others."),
)


def row(obj: PriorityClass, now: float) -> list[Any]:
    """The cells of one PriorityClass."""
    return [
        obj.metadata.name,
        obj.value,
        obj.globalDefault,
        columns.age(obj.metadata, now),
        obj.preemptionPolicy or "",
    ]


RESOURCE = Resource(
    type=PriorityClass,
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
    # 1 from the start, and it never counts.
    generation=lambda _new, _old: False,
    columns=COLUMNS,
    row=row,
)
