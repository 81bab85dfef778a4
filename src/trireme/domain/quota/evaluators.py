"""How much of a quota an object of each resource uses.

In: objects and the names that a quota limits. Out: ``Evaluator`` values: which names are theirs,
which writes they look at, usage. Called by the ResourceQuota admission plugin and the quota
controller. Upstream: pkg/quota/v1/evaluator/core, apiserver ``quota/v1/generic``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trireme.api.core.v1.selection import ScopedResourceSelectorRequirement
from trireme.domain.quota import claims, devices, pods, services
from trireme.domain.quota.contract import Evaluator
from trireme.domain.resource_lists import ResourceList
from trireme.machinery import quantity

ONE: Final = quantity.of(1)
# Names from before ``count/``.
ALIASES: Final = {
    "configmaps": "configmaps",
    "resourcequotas": "resourcequotas",
    "replicationcontrollers": "replicationcontrollers",
    "secrets": "secrets",
}
COUNT: Final = "count/"
# What quotas never count: virtual resources, and events.
IGNORED: Final = frozenset(
    (
        "bindings", "componentstatuses", "events", "events.events.k8s.io",
        "tokenreviews.authentication.k8s.io", "selfsubjectreviews.authentication.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
        "selfsubjectaccessreviews.authorization.k8s.io",
        "localsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io",
    )
)  # fmt: skip


class ObjectCount(Evaluator):
    """Counts the objects of a resource that needs nothing more."""

    def __init__(self, group_resource: str) -> None:
        self.group_resource = group_resource
        names = (COUNT + group_resource, ALIASES.get(group_resource, ""))
        self._names = tuple(name for name in names if name)

    def names(self, limited: Iterable[str]) -> list[str]:
        return [name for name in limited if name in self._names]

    def usage(self, obj: Any, now: float) -> ResourceList:
        return dict.fromkeys(self._names, ONE)


SPECIAL: Final[dict[str, Evaluator]] = {
    "pods": pods.Pods(),
    "services": services.Services(),
    "persistentvolumeclaims": claims.Claims(),
    "resourceclaims.resource.k8s.io": devices.ResourceClaims(),
}


def of(group_resource: str) -> Evaluator:
    """The evaluator of a resource, ``plural`` or ``plural.group``."""
    return SPECIAL.get(group_resource) or ObjectCount(group_resource)


def counting(limited: Iterable[str]) -> dict[str, list[str]]:
    """The resources that count towards these names, each with the names that are its own."""
    limited = list(limited)
    found = {
        resource: own
        for resource, evaluator in SPECIAL.items()
        if (own := evaluator.names(limited))
    }
    resources = [name.removeprefix(COUNT) for name in limited if name.startswith(COUNT)]
    resources += [name for name in limited if name in ALIASES]
    for resource in resources:
        if resource not in SPECIAL and resource not in IGNORED:
            found[resource] = ObjectCount(resource).names(limited)
    return found


def matches(
    evaluator: Evaluator,
    scopes: Iterable[str],
    selectors: Iterable[ScopedResourceSelectorRequirement],
    obj: Any,
) -> bool:
    """Whether an object is in all scopes of a quota."""
    exist = [
        ScopedResourceSelectorRequirement(scopeName=name, operator="Exists") for name in scopes
    ]
    return all(evaluator.in_scope(item, obj) for item in (*exist, *selectors))


def replenishes(resource: str, old: Any, new: Any, now: float) -> bool:
    """Whether an update changes what an object uses, other than by a write that is admitted."""
    if resource == "pods":
        return pods.replenishes(old, new, now)
    if resource == "services":
        return services.counted_type(old) != services.counted_type(new)
    return resource == "persistentvolumeclaims" and claims.replenishes(old, new)
