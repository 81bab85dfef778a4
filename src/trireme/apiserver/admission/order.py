"""The admission plugins that are on, in upstream's order: the order is the behaviour.

Mutating steps run down this list, then validating steps run down it again.
"""

from __future__ import annotations

from trireme.apiserver.admission.contract import Plugin


def plugins() -> list[Plugin]:
    """A fresh list; plugins keep state only per API server."""
    return []
