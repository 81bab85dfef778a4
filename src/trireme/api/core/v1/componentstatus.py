"""Types of componentstatus: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated, Any

from trireme.api import columns
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Merge, Required, Struct, always, constant, listmap


class ComponentCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    message: str = ""
    error: str = ""


class ComponentStatus(Struct):
    kind: str = constant("ComponentStatus")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    conditions: Annotated[list[ComponentCondition], listmap("type"), Merge("type")] = []


COLUMNS = (
    columns.NAME,
    Column("Status", description="Whether the component is healthy."),
    Column("Message", description="What it says of itself."),
    Column("Error", description="What is wrong with it."),
)


def row(obj: ComponentStatus, _now: float) -> list[Any]:
    """The cells of one ComponentStatus."""
    for condition in obj.conditions:
        if condition.type == "Healthy":
            status = "Healthy" if condition.status == "True" else "Unhealthy"
            return [obj.metadata.name, status, condition.message, condition.error]
    return [obj.metadata.name, "Unknown", "", ""]


RESOURCE = Resource(
    type=ComponentStatus,
    plural="componentstatuses",
    deprecated="v1 ComponentStatus is deprecated in v1.19+",
    singular="componentstatus",
    namespaced=False,
    short_names=("cs",),
    verbs=("get", "list"),
    columns=COLUMNS,
    row=row,
)
