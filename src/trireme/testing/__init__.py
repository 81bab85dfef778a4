"""A whole cluster in a test: see docs/how-to/test-an-operator.md.

Nothing is imported before it is used: pytest imports this package in every project that has it
installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trireme.testing.cluster import Cluster as Cluster
    from trireme.testing.loops import run as run
    from trireme.testing.runtime_state import Behaviour as Behaviour
    from trireme.testing.sync import SyncCluster as SyncCluster
    from trireme.testing.waiting import NeverTrue as NeverTrue

_PUBLIC = {
    "Behaviour": "runtime_state",
    "Cluster": "cluster",
    "NeverTrue": "waiting",
    "SyncCluster": "sync",
    "run": "loops",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
