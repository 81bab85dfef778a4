"""Secondary indexes of a cache: from a value of the objects to the objects that have it.

In: every change of the cache. Out: keys by value. An index is named by its function: ``node_name``,
``controller_uid``, ``label("app")``, or any function from an object to the values that it has.
Owned by one informer; pure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from trireme.runtime.keys import Key

Values = Callable[[Any], Iterable[Hashable]]


class Index:
    """Keys by value. Values of an object are asked for once per change; one named twice counts
    once."""

    def __init__(self, values: Values) -> None:
        self._values = values
        # Dicts with no values stand for ordered sets: the order of insertion is reproducible.
        self._keys: dict[Hashable, dict[Key, None]] = {}
        self._of: dict[Key, tuple[Hashable, ...]] = {}

    def put(self, key: Key, obj: Any) -> None:
        """The object of ``key`` is now this one."""
        values = tuple(dict.fromkeys(self._values(obj)))
        before = self._of.get(key, ())
        if values == before:
            return
        self._forget(key, before)
        if values:
            self._of[key] = values
            for value in values:
                self._keys.setdefault(value, {})[key] = None

    def remove(self, key: Key) -> None:
        """There is no such object any more."""
        self._forget(key, self._of.get(key, ()))

    def get(self, value: Hashable) -> list[Key]:
        """The keys of the objects that have ``value``."""
        return list(self._keys.get(value, ()))

    def values(self) -> list[Hashable]:
        """All values that some object has."""
        return list(self._keys)

    def _forget(self, key: Key, values: tuple[Hashable, ...]) -> None:
        self._of.pop(key, None)
        for value in values:
            keys = self._keys[value]
            keys.pop(key, None)
            if not keys:
                del self._keys[value]


def controller_uid(obj: Any) -> Iterable[Hashable]:
    """UID of the controlling owner; "" for an orphan, so that orphans are found too."""
    return [next((r.uid for r in obj.metadata.ownerReferences if r.controller), "")]


def namespace(obj: Any) -> Iterable[Hashable]:
    return [obj.metadata.namespace]


def node_name(pod: Any) -> Iterable[Hashable]:
    """The node of a pod; "" for an unbound one."""
    return [pod.spec.nodeName]


def label(name: str) -> Values:
    """The value of a label. Keep the function: it is what the index is found by."""

    def values(obj: Any) -> Iterable[Hashable]:
        found = obj.metadata.labels.get(name)
        return () if found is None else (found,)

    return values
