"""A cache in which a controller sees its own writes at once.

In: an informer, and what the server answered to writes. Out: the newer of the two. Used by
controllers that write several objects in turn and decide by all of them. Upstream: client-go
``cache.MutationCache``.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from trireme.runtime import keys
from trireme.runtime.index import Values
from trireme.runtime.informer import Informer
from trireme.runtime.keys import Key

T = TypeVar("T")


class MutationCache(Generic[T]):
    """An informer's objects. What was written is kept until the informer has come as far."""

    def __init__(self, informer: Informer[T]) -> None:
        self._informer = informer
        self._written: dict[Key, T] = {}

    def wrote(self, stored: T) -> T:
        """Note an object as the server has stored it; returns it."""
        if _revision(stored) > self._informer.revision:
            self._written[_key(stored)] = stored
        return stored

    def get(self, namespace: str, name: str) -> T | None:
        """The newest that is known of an object."""
        key = Key(namespace, name)
        written = self._written.get(key)
        if written is not None:
            if _revision(written) > self._informer.revision:
                return written
            del self._written[key]
        return self._informer.get(namespace, name)

    def by_index(self, values: Values, value: Hashable) -> list[T]:
        """The newest that is known of the objects that have ``value`` in the informer's index."""
        found = []
        for obj in self._informer.by_index(values, value):
            newest = self.get(*_key(obj))
            if newest is not None:
                found.append(newest)
        return found


def _revision(obj: Any) -> int:
    return int(obj.metadata.resourceVersion or 0)


def _key(obj: Any) -> Key:
    return keys.of(obj.metadata)
