"""Typed reads of the stored state for the API server's own decisions: admission, authorization.

In: a type and a name. Out: decoded objects, shared between callers and so not to be changed. Each
stored value is decoded at most once while it stays the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from trireme.apiserver.cache.changes import Changes
from trireme.apiserver.endpoint import Endpoint
from trireme.store.contract import KeyValue, Store

T = TypeVar("T")


class Reader:
    """Reads by type. What a caller derives from many objects it keeps as long as ``changes`` says
    that none of them was written."""

    def __init__(self, store: Store, by_type: dict[type, Endpoint]) -> None:
        self._store = store
        self._by_type = by_type
        self._decoded: dict[str, tuple[int, Any]] = {}

    def get(self, kind: type[T], namespace: str, name: str) -> T | None:
        """The object, or None. Shared: do not change it."""
        endpoint = self._by_type[kind]
        item = self._store.get(endpoint.key(namespace, name))
        return None if item is None else self._load(endpoint, item)

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a type, in key order. Shared: do not change them."""
        endpoint = self._by_type[kind]
        page = self._store.list(endpoint.prefix(namespace))
        return [self._load(endpoint, item) for item in page.items]

    async def catch_up(self) -> None:
        """Wait for what others have written until now. StoreUnavailable."""
        await self._store.barrier()

    def item(self, endpoint: Endpoint, namespace: str, name: str) -> KeyValue | None:
        """A stored object of any kind that is served, as it is stored."""
        return self._store.get(endpoint.key(namespace, name))

    def items(self, endpoint: Endpoint, namespace: str = "") -> Sequence[KeyValue]:
        """All stored objects of such a kind."""
        return self._store.list(endpoint.prefix(namespace)).items

    def changes(self, *kinds: type) -> Changes:
        """Says from then on whether an object of these types was written."""
        return Changes(self._store, [self._by_type[kind].root for kind in kinds])

    def _load(self, endpoint: Endpoint, item: KeyValue) -> Any:
        known = self._decoded.get(item.key)
        if known is not None and known[0] == item.revision:
            return known[1]
        obj = endpoint.load(item)
        self._decoded[item.key] = (item.revision, obj)
        return obj

    def drop(self, key: str) -> None:
        """Forget a deleted object."""
        self._decoded.pop(key, None)
