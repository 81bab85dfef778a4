"""What claims of devices use of quotas: themselves, and devices by class at their worst case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.domain import resource_lists
from trireme.domain.quota.contract import Evaluator
from trireme.domain.resource_lists import ResourceList
from trireme.machinery import quantity

_COUNT: Final = "count/resourceclaims.resource.k8s.io"
_OF_CLASS: Final = ".deviceclass.resource.k8s.io/devices"
# The most devices that one claim can get: what "all" may come to.
_MOST_DEVICES: Final = 32


class ResourceClaims(Evaluator):
    """Of alternatives, each class counts with the most that it may have to give."""

    group_resource = "resourceclaims.resource.k8s.io"

    def names(self, limited: Iterable[str]) -> list[str]:
        return [name for name in limited if name == _COUNT or name.endswith(_OF_CLASS)]

    def handles(self, operation: str, subresource: str, new: Any, old: Any) -> bool:
        return not subresource and operation in ("CREATE", "UPDATE")

    def usage(self, obj: Any, now: float) -> ResourceList:
        claim: ResourceClaim = obj
        used: ResourceList = {_COUNT: quantity.of(1)}
        for request in claim.spec.devices.requests or []:
            asked: list[Any] = [*request.firstAvailable]
            if not asked and request.exactly is not None:
                asked = [request.exactly]
            worst = resource_lists.most(*map(_devices, asked))
            used = resource_lists.add(used, worst)
        return used


def _devices(request: Any) -> ResourceList:
    """Of an exact request or an alternative, which name class, mode and count alike."""
    counts = {"ExactCount": request.count or 0, "All": _MOST_DEVICES}
    count = counts.get(request.allocationMode, 0)
    return {request.deviceClassName + _OF_CLASS: quantity.of(count)}
