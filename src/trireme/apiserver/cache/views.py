"""Labels and selectable fields of stored objects, decoded once per write and shared by all readers.

In: stored items or events. Out: ``View``. A view is kept per key and replaced when its revision
moves on, so a list by label over 10,000 pods decodes only what changed since the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.machinery.fields import Selector as FieldSelector
from trireme.machinery.labels import Selector


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
    """What a list or a watch wants: a label selector and a field selector, either may be None."""

    __slots__ = ("fields", "labels")

    def __init__(self, labels: Selector | None, fields: FieldSelector | None) -> None:
        self.labels = labels
        self.fields = fields

    @property
    def everything(self) -> bool:
        return self.labels is None and self.fields is None

    def matches(self, view: View) -> bool:
        if self.labels is not None and not self.labels.matches(view.labels):
            return False
        return self.fields is None or self.fields.matches(view.fields)


class Views:
    """The views of all stored objects that a selector has looked at."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}

    def of(self, endpoint: Endpoint, key: str, revision: int, value: bytes) -> View:
        view = self._views.get(key)
        if view is None or view.revision != revision:
            view = _look(endpoint, revision, value)
            if self._views.get(key) is None or self._views[key].revision < revision:
                self._views[key] = view
        return view

    def drop(self, key: str) -> None:
        """Forget a deleted object."""
        self._views.pop(key, None)


def _look(endpoint: Endpoint, revision: int, value: bytes) -> View:
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
