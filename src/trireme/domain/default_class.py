"""Which class of a kind is the default one: storage classes, ingress classes. Pure.

Upstream: pkg/volume/util ``GetDefaultClass``, plugin/pkg/admission/network/defaultingressclass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from trireme.machinery import time

C = TypeVar("C")


def of(classes: Iterable[C], annotations: Iterable[str]) -> C | None:
    """The newest class that one of the annotations makes the default; of those of one second, the
    first by name."""
    keys = tuple(annotations)
    defaults = [item for item in classes if _is_default(item, keys)]
    return min(defaults, key=_newest_first, default=None)


def _is_default(item: Any, keys: tuple[str, ...]) -> bool:
    annotations = item.metadata.annotations
    return any(annotations.get(key) == "true" for key in keys)


def _newest_first(item: Any) -> tuple[float, str]:
    meta = item.metadata
    return -time.parse(meta.creationTimestamp) if meta.creationTimestamp else 0.0, meta.name
