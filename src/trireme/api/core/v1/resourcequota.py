"""Types of resourcequota: see the API reference, core/v1."""

from __future__ import annotations

from typing import Any

from trireme.api import columns
from trireme.api.core.v1 import resourcequota_rules as checks
from trireme.api.core.v1.resourcequota_types import (
    ResourceQuota,
)
from trireme.machinery import quantity
from trireme.machinery.resource import Column, Resource, status

# Where a request should not be more than its limit: the names that quotas have for the two.
_PAIRS = (
    ("requests.cpu", "cpu", "limits.cpu"),
    ("requests.memory", "memory", "limits.memory"),
    ("requests.storage", "", "limits.storage"),
    ("requests.ephemeral-storage", "", "limits.ephemeral-storage"),
)
COLUMNS = (
    columns.NAME,
    Column("Request", description="What is used and allowed of each resource."),
    Column("Limit", description="The same for limits."),
    columns.AGE,
)


def warnings(new: ResourceQuota, old: ResourceQuota | None) -> list[str]:
    """Requests above their limits."""
    if old is not None:
        return []
    hard, found = new.spec.hard, []
    for request, short, limit in _PAIRS:
        name = request if request in hard or not short else short
        if name in hard and limit in hard:
            asked, most = quantity.parse(hard[name]), quantity.parse(hard[limit])
            if asked > most:
                found.append(f"ResourceQuota {name} ({asked}) should be less than {limit} ({most})")
    return found


def row(obj: ResourceQuota, now: float) -> list[Any]:
    """The cells of one ResourceQuota."""
    cells: tuple[list[str], list[str]] = ([], [])
    for name in sorted(obj.status.hard):
        text = f"{name}: {obj.status.used.get(name, '0')}/{obj.status.hard[name]}"
        cells[name.startswith("limits.")].append(text)
    texts = [", ".join(items) for items in cells]
    return [obj.metadata.name, *texts, columns.age(obj.metadata, now)]


RESOURCE = Resource(
    type=ResourceQuota,
    plural="resourcequotas",
    short_names=("quota",),
    subresources=(status(),),
    warnings=warnings,
    validate=checks.validate,
    validate_update=checks.validate_update,
    validate_status=checks.validate_status,
    returns_deleted=True,
    columns=COLUMNS,
    row=row,
)
