"""What claims of volumes use of quotas: themselves and their size, also by storage class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.selection import ScopedResourceSelectorRequirement
from trireme.domain import volumes
from trireme.domain.quota.contract import Evaluator, selects
from trireme.domain.resource_lists import ResourceList
from trireme.machinery import quantity

_COUNT: Final = "count/persistentvolumeclaims"
_CLAIMS: Final = "persistentvolumeclaims"
_STORAGE: Final = "requests.storage"
_OF_CLASS: Final = ".storageclass.storage.k8s.io/"
_SUFFIXES: Final = (_OF_CLASS + _CLAIMS, _OF_CLASS + _STORAGE)


class Claims(Evaluator):
    """Sizes are counted in whole bytes; a claim that grows counts what is allocated for it."""

    group_resource = "persistentvolumeclaims"

    def names(self, limited: Iterable[str]) -> list[str]:
        fixed = (_COUNT, _CLAIMS, _STORAGE)
        return [name for name in limited if name in fixed or name.endswith(_SUFFIXES)]

    def handles(self, operation: str, subresource: str, new: Any, old: Any) -> bool:
        if subresource == "status":
            return operation == "UPDATE" and replenishes(old, new)
        return not subresource and operation in ("CREATE", "UPDATE")

    def in_scope(self, scope: ScopedResourceSelectorRequirement, obj: Any) -> bool:
        return scope.scopeName == "VolumeAttributesClass" and selects(
            scope, volumes.attribute_classes(obj)
        )

    def usage(self, obj: Any, now: float) -> ResourceList:
        claim: PersistentVolumeClaim = obj
        used = {_CLAIMS: quantity.of(1), _COUNT: quantity.of(1)}
        storage = claim.spec.resources.requests.get("storage")
        if storage is not None:
            used[_STORAGE] = quantity.parse(storage).round_up(0)
            allocated = claim.status.allocatedResources.get("storage")
            if allocated is not None:
                used[_STORAGE] = max(used[_STORAGE], quantity.parse(allocated).round_up(0))
        name = volumes.class_of(claim)
        if name:
            for plain in (_CLAIMS, _STORAGE):
                if plain in used:
                    used[name + _OF_CLASS + plain] = used[plain]
        return used


def replenishes(old: PersistentVolumeClaim, new: PersistentVolumeClaim) -> bool:
    """Whether an update of the status changes what the claim uses, or its scope."""
    before, after = old.status.allocatedResources, new.status.allocatedResources
    return before.get("storage") != after.get("storage") or volumes.attribute_classes(
        old
    ) != volumes.attribute_classes(new)
