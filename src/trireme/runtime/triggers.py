"""Triggers: from an informer's event to the keys to reconcile. Pure.

In: an informer's ``Event``. Out: keys. Used in a ``Controller``'s list of triggers. Only keys pass,
so that a controller cannot depend on receiving every event (level-triggered).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from trireme.machinery import meta
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

Trigger = Callable[[Event[Any]], Iterable[Key]]


def own() -> Trigger:
    """The object that changed."""
    return lambda event: [event.key]


def controller(kind: str, group: str = "", *, namespaced: bool = True) -> Trigger:
    """The controlling owner of the object, before and after, where it is of that kind."""

    def trigger(event: Event[Any]) -> Iterable[Key]:
        return _owners(event, kind, group, namespaced, controlling=True)

    return trigger


def owners(kind: str, group: str = "", *, namespaced: bool = True) -> Trigger:
    """All owners of that kind, before and after."""

    def trigger(event: Event[Any]) -> Iterable[Key]:
        return _owners(event, kind, group, namespaced, controlling=False)

    return trigger


def mapped(of: Callable[[Any], Iterable[Key]]) -> Trigger:
    """The keys that ``of`` returns for the object, before and after the change."""

    def trigger(event: Event[Any]) -> Iterable[Key]:
        found = dict.fromkeys(of(event.object))
        if event.old is not None:
            found |= dict.fromkeys(of(event.old))
        return found

    return trigger


def only(passes: Callable[[Event[Any]], bool], then: Trigger) -> Trigger:
    """``then``, for the events for which ``passes`` is true."""
    return lambda event: then(event) if passes(event) else ()


def always(key: Key) -> Trigger:
    """The same key for every event: for work that is not about one object."""
    return lambda event: [key]


def controller_of(metadata: meta.ObjectMeta) -> meta.OwnerReference | None:
    """The reference to the controlling owner."""
    return next((item for item in metadata.ownerReferences if item.controller), None)


def _owners(
    event: Event[Any], kind: str, group: str, namespaced: bool, *, controlling: bool
) -> Iterable[Key]:
    found: dict[Key, None] = {}
    for obj in (event.object, event.old):
        if obj is None:
            continue
        for reference in obj.metadata.ownerReferences:
            if controlling and not reference.controller:
                continue
            if reference.kind == kind and _group(reference.apiVersion) == group:
                # An owner is in the namespace of what it owns, or in none.
                namespace = obj.metadata.namespace if namespaced else ""
                found[Key(namespace, reference.name)] = None
    return found


def _group(api_version: str) -> str:
    group, slash, _ = api_version.partition("/")
    return group if slash else ""
