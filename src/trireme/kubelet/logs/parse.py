"""Lines of a CRI log file. Pure.

In: bytes of a log file. Out: ``Line`` values. Called by logs/read and observe/inspect. Rules:
reference "Logs": ``<RFC3339Nano> <stdout|stderr> <tag>[:<tag>...] <text>``; tag P means that the
line goes on in the next record, F that it ends here.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from trireme.kubelet import nanotime


class Line(msgspec.Struct, frozen=True):
    """``text`` ends with a line feed unless the record is partial. ``nanos`` since the epoch."""

    nanos: int
    stream: str
    text: bytes

    @property
    def partial(self) -> bool:
        return not self.text.endswith(b"\n")


def parse(record: bytes) -> Line:
    """One record without its line feed. Raises ValueError."""
    parts = record.split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        raise ValueError(f"not a CRI log record: {record[:80]!r}")
    nanos = nanotime.parse_nanos(parts[0].decode("ascii"))
    text = parts[3] if len(parts) == 4 else b""
    if b"P" not in parts[2].split(b":"):
        text += b"\n"
    return Line(nanos, parts[1].decode("ascii"), text)


def lines(data: bytes) -> Iterator[Line]:
    """Every complete record in ``data``; a truncated first record, and garbage, are left out."""
    for record in data.split(b"\n")[:-1]:
        try:
            yield parse(record)
        except (ValueError, UnicodeDecodeError):
            continue
