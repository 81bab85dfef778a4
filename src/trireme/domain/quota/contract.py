"""What an evaluator is: the part of quota that one resource has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trireme.api.core.v1.selection import ScopedResourceSelectorRequirement
from trireme.domain.resource_lists import ResourceList
from trireme.machinery import labels, selection
from trireme.machinery.labels import Requirement, Selector

_OPERATORS = {
    "In": selection.IN,
    "NotIn": selection.NOT_IN,
    "Exists": selection.EXISTS,
    "DoesNotExist": selection.DOES_NOT_EXIST,
}


class Evaluator:
    """Counts nothing but creations; those of real resources override what they need."""

    group_resource = ""

    def names(self, limited: Iterable[str]) -> list[str]:
        """Those of the limited names that this resource uses."""
        raise NotImplementedError

    def handles(self, operation: str, subresource: str, new: Any, old: Any) -> bool:
        """Whether a write may change what is used."""
        return operation == "CREATE" and not subresource

    def in_scope(self, scope: ScopedResourceSelectorRequirement, obj: Any) -> bool:
        """Whether the object is in a scope."""
        return False

    def missing(self, required: Iterable[str], obj: Any) -> str:
        """What the object must declare because a quota limits it, in upstream's words; or ""."""
        return ""

    def usage(self, obj: Any, now: float) -> ResourceList:
        """What the object uses. ``now``: epoch seconds."""
        raise NotImplementedError


def selects(scope: ScopedResourceSelectorRequirement, values: Iterable[str]) -> bool:
    """Whether one of the object's values for a scope, or their absence, is selected."""
    operator = _OPERATORS.get(scope.operator)
    if operator is None:
        return False
    requirement = Requirement(scope.scopeName, operator, tuple(sorted(scope.values)))
    candidates: list[labels.Labels] = [{scope.scopeName: value} for value in values]
    return any(Selector([requirement]).matches(item) for item in candidates or [{}])
