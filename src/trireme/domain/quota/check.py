"""Whether one more write fits the quotas of its namespace.

In: the quotas, the evaluator of the resource, the new object and the old. Out: what each quota's
``status.used`` comes to; ``Refused`` in upstream's words. Called by the ResourceQuota admission
plugin. Upstream: apiserver ``admission/plugin/resourcequota``, ``CheckRequest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trireme.api.core.v1.resourcequota_types import ResourceQuota
from trireme.domain import resource_lists
from trireme.domain.quota import evaluators
from trireme.domain.quota.contract import Evaluator
from trireme.domain.resource_lists import ResourceList
from trireme.machinery.quantity import Quantity


class Refused(Exception):
    """The write does not fit; the message says which quota stands in its way."""


@dataclass(frozen=True)
class Write:
    """One write. ``old`` is None for a creation; ``now`` is in epoch seconds."""

    new: Any
    old: Any
    subresource: str
    now: float


def charge(quota: ResourceQuota, evaluator: Evaluator, write: Write) -> dict[str, str] | None:
    """``status.used`` after the write, None where the write does not change it. Refused."""
    limited = evaluator.names(quota.status.hard)
    if not limited or not _in_scope(quota, evaluator, write.new):
        return None
    name = quota.metadata.name
    missing = evaluator.missing(limited, write.new)
    if missing:
        raise Refused(f"failed quota: {name}: {missing}")
    if not set(limited) <= quota.status.used.keys():
        raise Refused(f"status unknown for quota: {name}, resources: {','.join(sorted(limited))}")
    requested = resource_lists.mask(_usage(quota, evaluator, write), quota.status.hard)
    if not requested:
        return None
    used = resource_lists.parse(quota.status.used)
    after = resource_lists.add(used, requested)
    if write.subresource != "status":
        hard = resource_lists.parse(quota.status.hard)
        exceeded = [item for item in requested if after[item] > hard[item]]
        if exceeded:
            raise Refused(
                f"exceeded quota: {name}, requested: {_printed(requested, exceeded)}, "
                f"used: {_printed(used, exceeded)}, limited: {_printed(hard, exceeded)}"
            )
    return resource_lists.texts(after)


def _usage(quota: ResourceQuota, evaluator: Evaluator, write: Write) -> ResourceList:
    """What the write adds: the whole object, where the quota did not count the old one."""
    usage = evaluator.usage(write.new, write.now)
    before: Mapping[str, Quantity] = {}
    if write.old is not None and _in_scope(quota, evaluator, write.old):
        before = evaluator.usage(write.old, write.now)
    return resource_lists.excess(usage, before)


def _in_scope(quota: ResourceQuota, evaluator: Evaluator, obj: Any) -> bool:
    selector = quota.spec.scopeSelector
    selectors = selector.matchExpressions if selector is not None else []
    return evaluators.matches(evaluator, quota.spec.scopes, selectors, obj)


def _printed(quantities: Mapping[str, Quantity], names: Iterable[str]) -> str:
    return ",".join(f"{name}={quantities[name]}" for name in sorted(names) if name in quantities)
