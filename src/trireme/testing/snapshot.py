"""A cluster at an instant, as a value: what is stored, what the machines hold, and what time it is.

In: ``Cluster.snapshot``. Out: further clusters that begin with it, in this process or, by a file,
in another one. The bytes of objects are shared, never copied. Components are no part of it: they
start anew, and list.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from trireme.kit.pki import Pair
from trireme.store.contract import Event, KeyValue
from trireme.testing.journal import Change
from trireme.testing.machines import MachineState

_FORMAT = "trireme-snapshot-1"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """``now``: seconds since 1970. ``changes``: the history so far. ``events`` are those that the
    store still has for watchers; ``nodes`` the names of its nodes."""

    format: str = _FORMAT
    now: float
    items: tuple[KeyValue, ...]
    revision: int
    compacted: int
    events: tuple[Event, ...]
    changes: tuple[Change, ...]
    machines: dict[int, MachineState]
    nodes: list[str]
    signing_key: bytes
    authority: tuple[bytes, bytes]

    def save(self, path: Path | str) -> None:
        """Write it to a file. It has the cluster's keys: nobody else may read it."""
        file = Path(path)
        file.touch(mode=0o600)
        file.write_bytes(msgspec.msgpack.encode(self))

    @staticmethod
    def load(path: Path | str) -> Snapshot:
        """What ``save`` wrote. ValueError for any other file."""
        try:
            found = msgspec.msgpack.decode(Path(path).read_bytes(), type=Snapshot)
        except msgspec.DecodeError as problem:
            raise ValueError(f"{path} is no snapshot of a cluster: {problem}") from None
        if found.format != _FORMAT:
            raise ValueError(f"{path} is a snapshot of another version: {found.format}")
        return found

    @property
    def pair(self) -> Pair:
        """The cluster's authority."""
        return Pair(*self.authority)
