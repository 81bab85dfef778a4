"""Metric families that several parts of one component share.

In: a component's registry and a family's name. Out: the one family of that name. prometheus-client
refuses a second registration, and a module-level family would be shared by all clusters of a
process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)


def family(
    registry: prometheus_client.CollectorRegistry,
    kind: type[M],
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
    **options: Any,
) -> M:
    """The family ``name`` of ``registry``, made at the first call.

    Raises TypeError when it is there as something else than ``kind``.
    """
    # The registry has no public look-up by name.
    known = registry._names_to_collectors.get(name)
    if known is None:
        return kind(name, documentation, labels, registry=registry, **options)
    if not isinstance(known, kind):
        raise TypeError(f"metric {name} is a {type(known).__name__}, not a {kind.__name__}")
    return known
