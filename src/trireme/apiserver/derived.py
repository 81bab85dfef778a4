"""What is computed from stored bytes: another version's bytes, protobuf. Once for each revision.

In: a key and its stored bytes. Out: the bytes made of them. What was made is kept while the key's
stored bytes stay the same, so a LIST or the watchers of an event share one computation.
"""

from __future__ import annotations

from collections.abc import Callable

# All that one kind keeps, in bytes.
LIMIT = 64 * 1024 * 1024


class Derived:
    """One function's results, the newest for each key. The oldest go when ``limit`` is reached."""

    __slots__ = ("_compute", "_kept", "_limit", "_size")

    def __init__(self, compute: Callable[[bytes], bytes], limit: int = LIMIT) -> None:
        self._compute = compute
        self._kept: dict[str, tuple[bytes, bytes]] = {}
        self._limit = limit
        self._size = 0

    def of(self, key: str, value: bytes) -> bytes:
        """What the function makes of ``value``, which is stored at ``key``."""
        known = self._kept.get(key)
        # The same bytes are nearly always the same object, and that is compared first.
        if known is not None and known[0] == value:
            return known[1]
        return self.put(key, value, self._compute(value))

    def known(self, key: str, value: bytes) -> bytes | None:
        """What was made of ``value`` before, if it was."""
        known = self._kept.get(key)
        return known[1] if known is not None and known[0] == value else None

    def put(self, key: str, value: bytes, made: bytes) -> bytes:
        """Keep what was made elsewhere of ``value``."""
        old = self._kept.pop(key, None)
        if old is not None:
            self._size -= len(old[1])
        self._kept[key] = (value, made)
        self._size += len(made)
        while self._size > self._limit and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._size -= len(self._kept.pop(oldest)[1])
        return made
