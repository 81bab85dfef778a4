"""The cluster that a command is about."""

from __future__ import annotations

from trireme.cluster import settings
from trireme.cluster.settings import Settings
from trireme.cluster.up import CannotStart, default_places


def of(name: str) -> Settings:
    """The settings of an existing cluster. Raises CannotStart if there is none."""
    found = settings.load(name, default_places())
    if found is None:
        raise CannotStart(f"there is no cluster {name!r}; `trireme up --name {name}` starts one")
    return found
