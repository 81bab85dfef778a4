"""Is a user a node, and which? Pure. Upstream: pkg/auth/nodeidentifier."""

from __future__ import annotations

from trireme.apiserver.request import User

GROUP = "system:nodes"
PREFIX = "system:node:"


def node_name(user: User) -> str | None:
    """The node's name, "" for a node without one, None for everybody else."""
    if not user.name.startswith(PREFIX) or GROUP not in user.groups:
        return None
    return user.name.removeprefix(PREFIX)
