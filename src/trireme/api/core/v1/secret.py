"""Types of secret: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated, Any

from trireme.api import columns
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Default, Struct, always, constant


class Secret(Struct):
    kind: str = constant("Secret")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    immutable: bool | None = None
    data: dict[str, bytes] = {}
    stringData: dict[str, str] = {}
    type: Annotated[str, Default("Opaque")] = ""


COLUMNS = (
    columns.NAME,
    Column("Type", description="What programs may expect in it."),
    Column("Data", description="How many keys it holds."),
    columns.AGE,
)


def defaults(obj: Secret) -> None:
    """``stringData`` is a way to write ``data``; it is never stored."""
    for key, text in obj.stringData.items():
        obj.data[key] = text.encode()
    obj.stringData = {}


def row(obj: Secret, now: float) -> list[Any]:
    """The cells of one Secret."""
    return [obj.metadata.name, obj.type, len(obj.data), columns.age(obj.metadata, now)]


RESOURCE = Resource(
    type=Secret,
    plural="secrets",
    defaults=defaults,
    columns=COLUMNS,
    row=row,
    selectable={"type": lambda obj: obj.type},
)
