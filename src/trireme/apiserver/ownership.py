"""managedFields of every write: the field managers of what is served.

In: an endpoint, a subresource, the objects before and after a write, who writes. Out: the entries
that the new object carries. Called by ``registry`` before admission, as upstream: what admission
adds has no owner. The rules are ``machinery/apply``; here are the kinds, their versions, and the
cheap way from structs to plain values.

A version other than a manager's own is reached through the endpoints of the same stored kind. Where
a webhook converts, the rules run again with its answer: they do not wait,
and ``with_conversions`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.machinery.apply import fieldset
from trireme.machinery.apply.atom import Atom, Nodes
from trireme.machinery.apply.created import Creations
from trireme.machinery.apply.fieldset import Set
from trireme.machinery.apply.manager import Entries, FieldManager, Writer, without_managed
from trireme.machinery.apply.update import Updater
from trireme.machinery.codec import json
from trireme.machinery.resource import Resource
from trireme.machinery.schema import tree

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_decode = json.plain


class Unconverted(Exception):
    """A value is needed in a version that only a webhook can convert it to."""

    def __init__(self, source: Endpoint, value: Any, version: str) -> None:
        super().__init__(version)
        self.source, self.value, self.version = source, value, version
        self.key = version, _encode(value)


# Of our own types, which do not change: all servers of a process share them.
_NODES = Nodes()
_CREATIONS = Creations(_NODES)


class Ownership:
    """The field managers of one API server, made at first use.

    ``endpoints`` gives all endpoints that are served now.
    """

    def __init__(self, endpoints: Callable[[], Iterable[Endpoint]]) -> None:
        self.endpoints = endpoints
        self._nodes, self._creations = _NODES, _CREATIONS
        self._structs: dict[tuple[type, str], FieldManager] = {}
        self._managers: WeakKeyDictionary[Endpoint, dict[str, FieldManager]] = WeakKeyDictionary()
        # Values that webhooks converted, for the computation that is going on.
        self._converted_values: dict[tuple[str, bytes], Any] = {}

    async def with_conversions(self, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, run again for each value that a webhook had to convert first."""
        converted: dict[tuple[str, bytes], Any] = {}
        while True:
            # Nobody else runs until ``compute`` has come back.
            self._converted_values = converted
            try:
                return compute()
            except Unconverted as missing:
                converted[missing.key] = await missing.source.convert_by_webhook(
                    missing.value, missing.version
                )
            finally:
                self._converted_values = {}

    def manager(self, endpoint: Endpoint, subresource: str = "") -> FieldManager:
        """The field manager of a kind in a version at a subresource."""
        managers = self._managers.get(endpoint)
        if managers is None:
            managers = self._managers[endpoint] = {}
        found = managers.get(subresource)
        if found is None:
            found = managers[subresource] = self._make(endpoint, subresource)
        return found

    def _make(self, endpoint: Endpoint, subresource: str) -> FieldManager:
        resource = endpoint.resource
        ignored = {
            other.resource.api_version: reset_fields(other.resource, subresource)
            for other in self.versions(endpoint)
        }
        updater = Updater(
            self.atom(endpoint), resource.api_version, ignored, self._converter(endpoint)
        )
        changing = getattr(endpoint, "atom", None) is not None
        empty = plain(resource.type())
        return FieldManager(updater, resource.kind, subresource, empty, changing=changing)

    def atom(self, endpoint: Endpoint) -> Atom:
        """How values of a kind merge: what the endpoint says itself, or what its type does."""
        own: Atom | None = getattr(endpoint, "atom", None)
        return own or self._nodes.atom(tree.of(endpoint.resource.type))

    def struct(self, kind: type, version: str, subresource: str) -> FieldManager:
        """The field manager of a struct type that no endpoint stores (Scale)."""
        found = self._structs.get((kind, subresource))
        if found is None:
            empty = kind()
            updater = Updater(self._nodes.atom(tree.of(kind)), version, {})
            found = FieldManager(updater, empty.kind, subresource, plain(empty))
            self._structs[kind, subresource] = found
        return found

    def versions(self, endpoint: Endpoint) -> list[Endpoint]:
        """The endpoints of a kind in all versions that are served, or just its own."""
        others = [other for other in self.endpoints() if other.hub is endpoint.hub]
        return others or [endpoint]

    def _converter(self, endpoint: Endpoint) -> Callable[[Any, str], tuple[Any, Atom] | None]:
        def convert(value: Any, version: str) -> tuple[Any, Atom] | None:
            known = {other.resource.api_version: other for other in self.versions(endpoint)}
            target = known.get(version)
            if target is None:
                return None
            if not endpoint.converts_by_webhook:
                # It may come back from another version.
                source = known.get(value.get("apiVersion"), endpoint)
                return _converted(source, target, value), self.atom(target)
            missing = Unconverted(endpoint, value, version)
            if missing.key not in self._converted_values:
                raise missing
            return self._converted_values[missing.key], self.atom(target)

        return convert

    def created(self, endpoint: Endpoint, new: Any, name: str, now: str) -> Entries:
        """The entries of a new object; a request may bring some along."""
        given = new.metadata.managedFields
        manager = self.manager(endpoint)
        if given or not isinstance(new, msgspec.Struct):
            return manager.created(bare(new), given, Writer(name, now))
        return manager.made(self._creations.fields(new), Writer(name, now))

    def updated(
        self, endpoint: Endpoint, subresource: str, old: Any, new: Any, name: str, now: str
    ) -> Entries:
        """The entries of an object after an update."""
        manager = self.manager(endpoint, subresource)
        ignored = manager.updater.ignored.get(manager.updater.version, {})
        before, after = _difference(old, new, ignored)
        return manager.updated(
            before, after, old.metadata.managedFields, new.metadata.managedFields, Writer(name, now)
        )


def reset_fields(resource: Resource, subresource: str) -> Set:
    """What a write never sets: the kind says it, or the status, or all but the status."""
    named = resource.reset_fields.get(subresource)
    if named is None:
        if subresource == "status":
            named = ("spec",)
        elif resource.has_status:
            named = ("status",)
        else:
            named = ()
    return fieldset.fields(*(tuple(path.split(".")) for path in named))


def plain(obj: Any) -> Any:
    """An object as plain JSON."""
    return _decode(_encode(obj))


def live(value: bytes) -> Any:
    """A stored value as plain JSON without its managedFields."""
    return without_managed(_decode(value))


def bare(obj: Any) -> Any:
    """An object as plain JSON without its managedFields."""
    meta = obj.metadata
    entries, meta.managedFields = meta.managedFields, []
    try:
        return plain(obj)
    finally:
        meta.managedFields = entries


def _difference(old: Any, new: Any, ignored: Set) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields in which two structs differ, as plain JSON; most writes change one of them."""
    if not isinstance(new, msgspec.Struct):
        return bare(old), bare(new)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name, wire, zero in _fields(type(new)):
        if ignored.get(f"f:{wire}", _MISSING) == fieldset.LEAF:
            continue
        was, now = getattr(old, name), getattr(new, name)
        if name == "metadata":
            entries = was.managedFields, now.managedFields
            was.managedFields, now.managedFields = [], []
            try:
                if was != now:
                    before[wire], after[wire] = plain(was), plain(now)
            finally:
                was.managedFields, now.managedFields = entries
        elif was != now:
            if zero is _MISSING or was != zero:
                before[wire] = plain(was)
            if zero is _MISSING or now != zero:
                after[wire] = plain(now)
    return before, after


_MISSING = object()


@cache
def _fields(struct: type) -> list[tuple[str, str, Any]]:
    """Attribute, name on the wire, and the value that is not written, for each field."""
    found = []
    for info in msgspec.structs.fields(struct):
        zero: Any = _MISSING
        if info.default is not msgspec.NODEFAULT:
            zero = info.default
        elif info.default_factory in (list, dict):
            zero = info.default_factory()
        found.append((info.name, info.encode_name, zero))
    return found


def _converted(source: Endpoint, target: Endpoint, value: Any) -> Any:
    """A plain value of one version as another one has it."""
    obj = source.decode(_encode(value))
    if source.resource.stored_as is not None:
        obj = source.resource.stored_as.to_stored(obj)
    if target.resource.stored_as is not None:
        obj = target.resource.stored_as.from_stored(obj)
    return plain(obj)
