"""Names of compute resources and of what quotas count: which are standard, and of what they are.

In: a resource's name. Out: error messages, or a boolean. Called by the rules of containers, limit
ranges and quotas. Upstream: pkg/apis/core/helper, pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/policy/resource-quotas/.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from trireme.machinery import names

HUGE_PAGES: Final = "hugepages-"
REQUESTS: Final = "requests."
COUNTED: Final = frozenset(
    (
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip
_COMPUTE: Final = frozenset(
    (
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
        "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
    )
)  # fmt: skip
_STANDARD: Final = COUNTED | _COMPUTE | {"storage", "requests.storage"}
_OF_CONTAINERS: Final = ("cpu", "memory", "ephemeral-storage")
_OF_QUOTAS: Final = COUNTED | _COMPUTE | {"requests.storage"}


def name_errors(name: str) -> list[str]:
    """What is wrong with a resource's name of any kind."""
    found = names.is_qualified_name(name)
    if found or "/" in name or name in _STANDARD or is_huge_pages(name) or _is_huge_quota(name):
        return found
    return ["must be a standard resource type or fully qualified"]


def container_name_errors(name: str) -> list[str]:
    """What is wrong with a resource's name in a container."""
    found = name_errors(name)
    if "/" not in name:
        if name not in _OF_CONTAINERS and not is_huge_pages(name):
            found = [*found, "must be a standard resource for containers"]
    elif not is_native(name) and not is_extended(name):
        found = [*found, "doesn't follow extended resource name standard"]
    return found


def is_of_quotas(name: str) -> bool:
    """Whether quotas know the name without a prefix."""
    return name in _OF_QUOTAS or _is_huge_quota(name)


def is_huge_pages(name: str) -> bool:
    """Huge pages of some size."""
    return name.startswith(HUGE_PAGES)


def _is_huge_quota(name: str) -> bool:
    return name.startswith(REQUESTS + HUGE_PAGES)


def is_native(name: str) -> bool:
    """Kubernetes' own resources: without a prefix, or with its domain's."""
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """An extended resource: with a domain that is not Kubernetes', of a length that quotas
    allow."""
    if is_native(name) or name.startswith(REQUESTS):
        return False
    return not names.is_qualified_name(REQUESTS + name)


def is_integer(name: str) -> bool:
    """Whether the resource comes in whole units."""
    return name in COUNTED or is_extended(name)


def may_overcommit(name: str) -> bool:
    """Whether the request may be less than the limit."""
    return is_native(name) and not is_huge_pages(name)
