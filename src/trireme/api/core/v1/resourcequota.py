"""Types of resourcequota: see the API reference, core/v1."""

from __future__ import annotations

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


def warnings(new: ResourceQuota, old: ResourceQuota | None) -> list[str]:
    """Requests above their limits."""
    if old is not None:
        return []
    hard, found = new.spec.hard, []
    for request, short, limit in _PAIRS:
        name = request if request in hard or not short else short
        if name in hard and limit in hard:
            requested, most = quantity.parse(hard[name]), quantity.parse(hard[limit])
            if requested > most:
                found.append(
                    f"ResourceQuota {name} ({requested}) should be less than {limit} ({most})"
                )
    return found


def _used(obj: ResourceQuota, limits: bool) -> str:
    """What is used of each hard limit: of those on limits, or of all others."""
    used, hard = obj.status.used, obj.status.hard
    names = [name for name in sorted(hard) if name.startswith("limits.") is limits]
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


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
    columns=(
        columns.NAME,
        Column(
            "Request", lambda obj: _used(obj, False), "What is used and allowed of each resource."
        ),
        Column("Limit", lambda obj: _used(obj, True), "The same for limits."),
        columns.AGE,
    ),
)
