"""Server-side tables: what ``kubectl get`` shows.

In: typed objects with their stored bytes. Out: the meta.k8s.io Table as JSON. Columns and rows come
from the kind's ``Resource``. Rules:
https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import errors, gotext
from trireme.machinery.meta import ListMeta
from trireme.machinery.resource import Column, Resource

INCLUDE = ("", "None", "Metadata", "Object")


def check_include(value: str) -> str:
    """The includeObject parameter, checked."""
    if value not in INCLUDE:
        raise errors.bad_request(
            f"Unable to convert to Table as requested: includeObject: Invalid value: "
            f"{gotext.quote(value)}: must be 'Metadata', 'Object', 'None', or empty"
        )
    return value or "Metadata"


def table(
    endpoint: Endpoint,
    values: Iterable[bytes],
    meta: ListMeta,
    now: float,
    include: str,
    version: str = "v1",
    *,
    definitions: bool = True,
) -> bytes:
    """The Table of some stored values. ``definitions`` False leaves the column heads out: null."""
    resource = endpoint.resource
    columns = [item for item in resource.columns if item.name]
    rows = [_row(endpoint, value, now, include, version) for value in values]
    return msgspec.json.encode(
        {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{version}",
            "metadata": meta,
            "columnDefinitions": list(map(_definition, columns)) if definitions else None,
            "rows": rows,
        }
    )


def partial(value: bytes, version: str = "v1") -> bytes:
    """The PartialObjectMetadata of a stored value."""
    metadata = msgspec.json.decode(value, type=_OnlyMeta).metadata
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%s","metadata":%s}' % (
        version.encode(),
        bytes(metadata),
    )


class _OnlyMeta(msgspec.Struct):
    metadata: msgspec.Raw


def _row(
    endpoint: Endpoint, value: bytes, now: float, include: str, version: str
) -> dict[str, Any]:
    resource: Resource = endpoint.resource
    obj = endpoint.decode(value)
    row: dict[str, Any] = {"cells": resource.row(obj, now)}
    if resource.row_conditions is not None:
        conditions = resource.row_conditions(obj)
        if conditions:
            row["conditions"] = conditions
    if include == "Metadata":
        row["object"] = msgspec.Raw(partial(value, version))
    elif include == "Object":
        row["object"] = msgspec.Raw(value)
    else:
        row["object"] = None
    return row


def _definition(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }
