"""Labels and selectable fields of stored objects, decoded once per write and shared by all readers.

In: stored items or events. Out: ``View``. A view is kept per key and replaced when its revision
moves on, so a list by label over 10,000 pods decodes only what changed since the last one. What an
event changed is kept for a while as well: all its watchers share two views.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import selection
from trireme.machinery.fields import Selector as FieldSelector
from trireme.machinery.labels import Selector
from trireme.store import contract as stores
from trireme.store.contract import Event, KeyValue, WatchFilter

# Events whose views are kept.
RECENT = 1024
_SELECTED = ("selected",)
_ONE_OF = (selection.EQUALS, selection.DOUBLE_EQUALS, selection.IN)


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}


class _HasMeta(msgspec.Struct, gc=False):
    metadata: _Meta


_decode_meta = msgspec.json.Decoder(_HasMeta).decode


class View(msgspec.Struct, frozen=True, gc=False):
    """What selectors may look at."""

    revision: int
    labels: Mapping[str, str]
    fields: Mapping[str, str]


class Selection:
    """The selectors of a list or a watch: labels and fields, either may be None."""

    __slots__ = ("fields", "labels")

    def __init__(self, labels: Selector | None, fields: FieldSelector | None) -> None:
        self.labels = labels
        self.fields = fields

    @property
    def everything(self) -> bool:
        return self.labels is None and self.fields is None

    @property
    def selects_beyond_metadata(self) -> bool:
        """Whether it asks for fields beyond metadata, which versions may have elsewhere."""
        asked = self.fields.requirements if self.fields is not None else ()
        return any(not each.field.startswith("metadata.") for each in asked)

    def one_of(self) -> tuple[bool, str, tuple[str, ...]] | None:
        """A field (True) or label (False), and the only values that it may have."""
        for required in self.fields.requirements if self.fields is not None else ():
            if required.operator == selection.EQUALS and required.field != "metadata.namespace":
                return True, required.field, (required.value,)
        for required_label in self.labels.requirements if self.labels is not None else ():
            if required_label.operator in _ONE_OF:
                return False, required_label.key, required_label.values
        return None

    def matches(self, view: View | None) -> bool:
        if view is None:
            return False
        if self.labels is not None and not self.labels.matches(view.labels):
            return False
        return self.fields is None or self.fields.matches(view.fields)


def selects_served(endpoint: Endpoint, selection: Selection) -> bool:
    """Whether a selection looks at objects in the version that is served, not as they are stored:
    they have to be converted, and perhaps waited for."""
    return endpoint.selects_served and selection.selects_beyond_metadata


async def served(endpoint: Endpoint, items: list[KeyValue]) -> list[View]:
    """The views of items in the version that an endpoint serves; not kept."""
    return [
        _read(endpoint, item.revision, item.value) for item in await endpoint.from_stored(items)
    ]


# An endpoint, and what its object was before and after an event; None where it was not.
_Change = tuple[Endpoint, View | None, View | None]


class Views:
    """The views of all stored objects that a selector has looked at."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}
        self._changes: dict[int, _Change] = {}

    def change(self, endpoint: Endpoint, event: Event) -> tuple[View | None, View | None]:
        """What an event's object was before it and after it; None where there was none."""
        known = self._changes.get(event.revision)
        if known is not None and known[0] is endpoint:
            return known[1], known[2]
        before = after = None
        if event.previous is not None:
            earlier = event.previous_revision or 0
            known = self._changes.get(earlier)
            if known is not None and known[0] is endpoint:
                before = known[2]
            if before is None:
                before = self._view_at(endpoint, event.key, earlier, event.previous)
        if event.type != stores.DELETED:
            after = self._view_at(endpoint, event.key, event.revision, event.value)
        self._changes[event.revision] = (endpoint, before, after)
        if len(self._changes) > RECENT:
            del self._changes[next(iter(self._changes))]
        return before, after

    def watch_filter(self, endpoint: Endpoint, selected: Selection) -> WatchFilter | None:
        """The filter of a kind's events that may matter to a selection; None for every event.

        A required value rules most events out without matching the selection; where none is
        required, watches with the same selection share one match.
        """
        if selected.everything:
            return None
        required = selected.one_of()
        if required is not None:
            of_fields, name, values = required
            return WatchFilter(
                (endpoint, of_fields, name),
                values,
                lambda event: self._values(endpoint, event, of_fields, name),
            )
        same = (endpoint, str(selected.labels), str(selected.fields))
        return WatchFilter(same, _SELECTED, lambda event: self._selected(endpoint, event, selected))

    def _values(
        self, endpoint: Endpoint, event: Event, of_fields: bool, name: str
    ) -> Collection[str] | None:
        found = self._before_and_after(endpoint, event)
        if found is None:
            return None
        if of_fields:
            return {view.fields.get(name, "") for view in found}
        return {view.labels[name] for view in found if name in view.labels}

    def _selected(
        self, endpoint: Endpoint, event: Event, selected: Selection
    ) -> Collection[str] | None:
        found = self._before_and_after(endpoint, event)
        if found is None:
            return None
        return _SELECTED if any(map(selected.matches, found)) else ()

    def _before_and_after(self, endpoint: Endpoint, event: Event) -> list[View] | None:
        try:
            return [view for view in self.change(endpoint, event) if view is not None]
        except Exception:
            # The store is publishing: to fail over this object is each watcher's own matter.
            return None

    def _view_at(self, endpoint: Endpoint, key: str, revision: int, value: bytes) -> View:
        """A view that is not kept: the object may have gone meanwhile."""
        view = self._views.get(key)
        if view is not None and view.revision == revision:
            return view
        return _read(endpoint, revision, value)

    def of(self, endpoint: Endpoint, key: str, revision: int, value: bytes) -> View:
        view = self._views.get(key)
        if view is None or view.revision != revision:
            view = _read(endpoint, revision, value)
            if self._views.get(key) is None or self._views[key].revision < revision:
                self._views[key] = view
        return view

    def select(
        self, endpoint: Endpoint, selection: Selection, items: list[KeyValue]
    ) -> Iterator[KeyValue]:
        """The items that a selection matches. Written out: this is asked of each of 10,000 pods."""
        views, of = self._views, self.of
        by_label = selection.labels.matches if selection.labels is not None else None
        by_field = selection.fields.matches if selection.fields is not None else None
        for item in items:
            view = views.get(item.key)
            if view is None or view.revision != item.revision:
                view = of(endpoint, item.key, item.revision, item.value)
            if by_label is not None and not by_label(view.labels):
                continue
            if by_field is None or by_field(view.fields):
                yield item

    def drop(self, key: str) -> None:
        """Forget a deleted object."""
        self._views.pop(key, None)


def _read(endpoint: Endpoint, revision: int, value: bytes) -> View:
    selectable = endpoint.resource.selectable
    fields: dict[str, str] = {}
    if selectable:
        obj: Any = endpoint.decode(value)
        meta = obj.metadata
        fields = {label: read(obj) for label, read in selectable.items()}
    else:
        meta = _decode_meta(value).metadata
    fields["metadata.name"] = meta.name
    if endpoint.resource.namespaced:
        fields["metadata.namespace"] = meta.namespace
    return View(revision, meta.labels, fields)
