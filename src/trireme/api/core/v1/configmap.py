"""Types of configmap: see the API reference, core/v1."""

from __future__ import annotations

from typing import Any

from trireme.api import columns
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Struct, always, constant


class ConfigMap(Struct):
    kind: str = constant("ConfigMap")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    immutable: bool | None = None
    data: dict[str, str] = {}
    binaryData: dict[str, bytes] = {}


COLUMNS = (
    columns.NAME,
    Column("Data", description="How many keys it holds."),
    columns.AGE,
)


def row(obj: ConfigMap, now: float) -> list[Any]:
    """The cells of one ConfigMap."""
    keys = len(obj.data) + len(obj.binaryData)
    return [obj.metadata.name, keys, columns.age(obj.metadata, now)]


RESOURCE = Resource(
    type=ConfigMap,
    plural="configmaps",
    short_names=("cm",),
    columns=COLUMNS,
    row=row,
)
