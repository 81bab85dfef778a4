"""How an engine that keeps its data outside writes keys and values there: the codec.

In: the contract's keys and values. Out: the bytes outside, and back. Given to an engine by its
maker; what the API server's values are outside is the API server's to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from trireme.store.values import Value


class Codec(Protocol):
    def key(self, key: str) -> bytes: ...
    def name(self, raw: bytes) -> str | None:
        """The key of what is stored as ``raw``; None: it is none of ours."""

    def encode(self, key: str, value: Value) -> bytes: ...
    def decode(self, key: str, raw: bytes, revision: int) -> bytes:
        """The value as it was rendered at ``revision``. Unreadable."""

    def last(self, value: bytes, revision: int) -> bytes:
        """The value of an item that was deleted at ``revision``."""


class Transformer(Protocol):
    """Encryption of what an engine keeps outside; ``asks``: whether ``prepare`` may do anything."""

    @property
    def asks(self) -> bool: ...
    def to_storage(self, key: str, value: bytes) -> bytes:
        """StoreUnavailable."""

    def from_storage(self, key: str, data: bytes) -> bytes:
        """Unreadable."""

    def stale(self, key: str) -> bool:
        """Whether the item would be stored otherwise today, though its value is the same."""

    def forget(self, key: str) -> None: ...
    async def prepare(self, values: Iterable[tuple[str, bytes]]) -> None:
        """Called with what is about to be read."""


class Slots:
    """Any bytes: the length of the head before head and tail."""

    def key(self, key: str) -> bytes:
        return key.encode()

    def name(self, raw: bytes) -> str | None:
        return raw.decode(errors="surrogateescape")

    def encode(self, key: str, value: Value) -> bytes:
        return len(value.head).to_bytes(4, "big") + value.head + value.tail

    def decode(self, key: str, raw: bytes, revision: int) -> bytes:
        end = 4 + int.from_bytes(raw[:4], "big")
        return b"%b%d%b" % (raw[4:end], revision, raw[end:])

    def last(self, value: bytes, revision: int) -> bytes:
        return value
