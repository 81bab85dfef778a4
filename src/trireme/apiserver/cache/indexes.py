"""Which stored objects have a value in a field, without looking at all of them.

In: a kind and a selection. Out: the newest items among which are all that match, in order of their
keys. An index is made when it is first asked, and follows the store's events from then on.
Upstream: the indexers of the watch cache (``spec.nodeName`` of pods: what every kubelet lists).
"""

from __future__ import annotations

from trireme.apiserver.cache.views import Selection, View, Views
from trireme.apiserver.endpoint import Endpoint
from trireme.store.contract import DELETED, KeyValue, Store, Subscription, SubscriptionClosed

# Events that may wait to be followed; after more, the index is made anew.
_BEHIND = 1_000


class Indexes:
    """The indexes of all kinds that have ``Resource.indexed`` fields."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store = store
        self._views = views
        self._made: dict[tuple[Endpoint, str], _Index] = {}

    def newest(
        self, endpoint: Endpoint, namespace: str, selection: Selection, after: str | None = None
    ) -> list[KeyValue]:
        """The items of a namespace (or of all) that may match, after the key ``after``."""
        prefix = endpoint.prefix(namespace)
        keys = self._keys(endpoint, namespace, selection)
        if keys is None:
            return self._store.list(prefix, after=after).items
        own = (key for key in keys if key.startswith(prefix) and (after is None or key > after))
        return [item for item in map(self._store.get, own) if item is not None]

    def _keys(self, endpoint: Endpoint, namespace: str, selection: Selection) -> list[str] | None:
        """The keys that alone may match; None: any may."""
        if selection.fields is None:
            return None
        name = selection.fields.exact("metadata.name")
        if name is not None and (namespace or not endpoint.resource.namespaced):
            return [endpoint.key(namespace, name)]
        for field in endpoint.resource.indexed:
            value = selection.fields.exact(field)
            if value is not None:
                return self._index(endpoint, field).keys(value)
        return None

    def _index(self, endpoint: Endpoint, field: str) -> _Index:
        index = self._made.get((endpoint, field))
        try:
            if index is not None:
                index.follow()
                return index
        except SubscriptionClosed:
            # It fell too far behind.
            pass
        index = self._made[endpoint, field] = _Index(self._store, self._views, endpoint, field)
        return index


class _Index:
    def __init__(self, store: Store, views: Views, endpoint: Endpoint, field: str) -> None:
        self._views = views
        self._endpoint = endpoint
        self._field = field
        self._value_of: dict[str, str] = {}
        self._keys_of: dict[str, set[str]] = {}
        page = store.list(endpoint.root)
        self._events: Subscription = store.watch(endpoint.root, page.revision, buffer=_BEHIND)
        for item in page.items:
            self._put(item.key, views.of(endpoint, item.key, item.revision, item.value))

    def keys(self, value: str) -> list[str]:
        return sorted(self._keys_of.get(value, ()))

    def follow(self) -> None:
        """Take over what was written since the last time. SubscriptionClosed."""
        for event in self._events.take():
            if event.type == DELETED:
                self._drop(event.key)
            else:
                _, view = self._views.change(self._endpoint, event)
                assert view is not None
                self._put(event.key, view)

    def _put(self, key: str, view: View) -> None:
        value = view.fields.get(self._field, "")
        if self._value_of.get(key) != value:
            self._drop(key)
            self._value_of[key] = value
            self._keys_of.setdefault(value, set()).add(key)

    def _drop(self, key: str) -> None:
        value = self._value_of.pop(key, None)
        if value is None:
            return
        keys = self._keys_of[value]
        keys.remove(key)
        if not keys:
            del self._keys_of[value]
