"""Types of componentstatus: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

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


def _health(obj: ComponentStatus) -> ComponentCondition | None:
    return next((item for item in obj.conditions if item.type == "Healthy"), None)


def _status(obj: ComponentStatus) -> str:
    health = _health(obj)
    if health is None:
        return "Unknown"
    return "Healthy" if health.status == "True" else "Unhealthy"


RESOURCE = Resource(
    type=ComponentStatus,
    plural="componentstatuses",
    deprecated="v1.19+",
    singular="componentstatus",
    namespaced=False,
    short_names=("cs",),
    verbs=("get", "list"),
    columns=(
        columns.NAME,
        Column("Status", _status, "Whether the component is healthy."),
        Column(
            "Message", lambda obj: getattr(_health(obj), "message", ""), "What it says of itself."
        ),
        Column("Error", lambda obj: getattr(_health(obj), "error", ""), "What is wrong with it."),
    ),
)
