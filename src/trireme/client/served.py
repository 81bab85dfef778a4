"""``Served``: a resource that an API server serves. A value; ``discovery`` reads them. Pure."""

from __future__ import annotations

import msgspec


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One resource in one version of its group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]
    subresources: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
