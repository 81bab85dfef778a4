"""The cluster that a command is about."""

from __future__ import annotations

from pathlib import Path

from trireme.cluster import settings
from trireme.cluster.local_cloud import group_state
from trireme.cluster.settings import Settings
from trireme.cluster.up import CannotStart, default_places


def of(name: str) -> Settings:
    """The settings of an existing cluster, with the nodes that have joined.

    Raises CannotStart if there is none.
    """
    found = settings.load(name, default_places())
    if found is None:
        raise CannotStart(f"there is no cluster {name!r}; `trireme up --name {name}` starts one")
    for node in group_state.read(found.state_dir).nodes:
        # One that is still being made has no runtime yet.
        if Path(node.containerd_socket).exists():
            found = found.with_node(node)
    return found
