"""What a provider does: turns values into what is stored, and back.

Upstream: apiserver ``pkg/storage/value``. The errors' texts are those that its clients see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

SHORT = "the stored data was shorter than the required size"


class TransformError(Exception):
    """The value cannot be read, or not be written."""


class Provider(Protocol):
    """``prefix``: what all that it stores begins with, all of it but identity's."""

    prefix: bytes

    def to_storage(self, data: bytes, context: bytes) -> bytes:
        """``context``: the key in etcd, to which the value is bound. TransformError."""

    def from_storage(self, data: bytes, context: bytes) -> bytes:
        """``data`` is without the prefix. TransformError."""

    def token(self, data: bytes) -> object:
        """By which of the provider's keys the data, without the prefix, is encrypted."""

    def current(self) -> object:
        """The token of what it writes now."""


class Plugin(Provider, Protocol):
    """A provider whose keys another program has: it is asked how it is, and for keys."""

    name: str
    # What is wrong; "" for nothing.
    problem: str

    @property
    def pause(self) -> float:
        """Seconds until it is looked at again."""

    def is_unknown(self, data: bytes) -> bool:
        """Whether it has to be asked for the key of what is stored."""

    async def learn(self, data: bytes) -> None:
        """Ask it for that; ``from_storage`` has the error."""

    async def check(self) -> None:
        """Ask how it is."""

    async def close(self) -> None: ...


class Cipher(Protocol):
    def seal(self, data: bytes, context: bytes) -> bytes: ...
    def open(self, data: bytes, context: bytes) -> bytes: ...


class Keyed:
    """Keys by their names: the first one writes. ``what``: the provider's name in errors."""

    def __init__(self, prefix: bytes, what: str, keys: Sequence[tuple[str, Cipher]]) -> None:
        self.prefix = prefix
        self._what = what
        self._keys = [(name.encode() + b":", cipher) for name, cipher in keys]

    def to_storage(self, data: bytes, context: bytes) -> bytes:
        name, cipher = self._keys[0]
        return name + cipher.seal(data, context)

    def from_storage(self, data: bytes, context: bytes) -> bytes:
        problems: list[str] = []
        for name, cipher in self._keys:
            if data.startswith(name):
                try:
                    return cipher.open(data[len(name) :], context)
                except TransformError as error:
                    # Two keys may have one name while they are rotated.
                    problems.append(str(error))
        raise TransformError(
            reduced(problems)
            or f"no matching key was found for the provided {self._what} transformer"
        )

    def token(self, data: bytes) -> object:
        return next((name for name, _ in self._keys if data.startswith(name)), b"")

    def current(self) -> object:
        return self._keys[0][0]


def reduced(problems: Sequence[str]) -> str:
    """Several errors as one, as upstream writes them."""
    distinct = list(dict.fromkeys(problems))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]" if distinct else ""
