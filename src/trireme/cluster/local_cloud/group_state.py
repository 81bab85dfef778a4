"""The machines of a local cluster's node group, as a file in its state folder.

Written by the provider, in the controllers' process, and read by the supervisor, which runs what is
desired and lets go of what no longer is. The nodes of ``up`` are not among them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from trireme.cluster.hosts import names
from trireme.cluster.hosts.plan import NodePlan

_FILE = "node-group.json"


class GroupState(msgspec.Struct, frozen=True):
    """``nodes`` are the machines that are desired; ``last`` is the number of the newest."""

    nodes: tuple[NodePlan, ...] = ()
    last: int = -1


def path(state_dir: str) -> Path:
    """Its modification time changes with every write."""
    return Path(state_dir, _FILE)


def read(state_dir: str) -> GroupState:
    """The state; an empty one before the first write."""
    try:
        data = path(state_dir).read_bytes()
    except FileNotFoundError:
        return GroupState()
    return msgspec.json.decode(data, type=GroupState)


def write(state_dir: str, state: GroupState) -> None:
    """Write it atomically."""
    new = path(state_dir).with_suffix(".new")
    new.write_bytes(msgspec.json.encode(state))
    new.rename(path(state_dir))


def next_index(state: GroupState, fixed: int, present: set[int]) -> int:
    """The number of the next machine: none of the ``fixed`` first ones, none that is there, and
    late to be one that was there before, as its Node may still be. LookupError."""
    used = present | {one.index for one in state.nodes}
    room = names.MAX_NODES - fixed
    start = max(state.last + 1, fixed) - fixed
    for step in range(room):
        index = fixed + (start + step) % room
        if index not in used:
            return index
    raise LookupError(f"all {names.MAX_NODES} numbers of nodes are in use")
