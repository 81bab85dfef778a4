"""The endpoint of one version of a custom kind.

Decoding prunes, defaults and reports unknown fields; what comes from the store may be in another
version or older than the schema, and is converted when it is read. The endpoint of the
stored version is the ``hub`` of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakSet

import msgspec

from trireme.api.apiextensions.schema import atoms, default, metadata, prune, structural
from trireme.apiserver.crd.convert import Converter, WebhookConverter
from trireme.apiserver.crd.custom import CustomObject, decoder
from trireme.apiserver.crd.validation import Validator
from trireme.apiserver.derived import Derived
from trireme.apiserver.endpoint import APPLIED, PATCHED, SENT, Endpoint, around_revision
from trireme.machinery import errors, gotext
from trireme.machinery.apply.atom import STRING, Atom, MapRule, Nodes
from trireme.machinery.codec import json
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode, tree
from trireme.machinery.schema.node import Node
from trireme.store.contract import KeyValue, Subscription, Value

SERVED = ("application/json", "application/yaml")

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_FIRST = ("kind", "apiVersion", "metadata")


@dataclass
class Shared:
    """What the versions of one kind have in common."""

    preserve: bool
    convert: Converter
    # By version name.
    validators: dict[str, Validator]
    # Items up to this revision were written under another schema.
    stale_until: int = 0
    subscriptions: WeakSet[Any] = field(default_factory=WeakSet)

    def end_watches(self) -> None:
        """What is served has changed: clients list and watch anew."""
        for subscription in list(self.subscriptions):
            subscription.close()


class CustomEndpoint(Endpoint):
    """One served version. ``schema`` is its plain JSON."""

    selects_served = True
    has_floats = True

    def __init__(
        self,
        resource: Resource,
        shared: Shared,
        hub: CustomEndpoint | None,
        list_kind: str,
        warnings: Sequence[str],
    ) -> None:
        self.shared = shared
        super().__init__(resource, hub, SERVED)
        self.decode = decoder(resource.type)
        # Items of a custom kind's lists say their kind and version.
        self.item_prefix = 1
        self.list_head = b'{"kind":%s,"apiVersion":%s,"metadata":' % (
            _encode(list_kind),
            _encode(resource.api_version),
        )
        self.list_kind = list_kind
        self.warnings = tuple(warnings)
        self._head = b'{"kind":%s,"apiVersion":%s,' % (
            _encode(resource.kind),
            _encode(resource.api_version),
        )
        self._kept = Derived(lambda value: value)

    @property
    def converts(self) -> bool:
        return self.hub is not self or self.shared.stale_until > 0

    @converts.setter
    def converts(self, value: bool) -> None:
        """The versions say it themselves."""

    @property
    # A property where the base has an attribute.
    def converts_by_webhook(self) -> bool:  # type: ignore[override]
        return isinstance(self.shared.convert, WebhookConverter)

    async def convert_by_webhook(self, value: Any, version: str) -> Any:
        (converted,) = await self.shared.convert([value], version)
        return converted

    @property
    def validator(self) -> Validator:
        return self.shared.validators[self.resource.version]

    @cached_property
    def atom(self) -> Atom:
        """How values merge in server-side apply."""
        return _with_metadata(atoms.of(self.validator.node, self.shared.preserve))

    def watching(self, subscription: Subscription) -> None:
        self.shared.subscriptions.add(subscription)

    def read(self, data: bytes, mode: str, origin: str) -> tuple[CustomObject, list[str]]:
        """A request's body: pruned and defaulted; DecodeError for what is no object of the kind.

        Null where it is not allowed counts as absent; not so in what an apply made: somebody would
        own a field that is not there.
        """
        looking = decode.IGNORE if mode == decode.IGNORE else decode.WARN
        try:
            value, problems = decode.untyped(data, looking)
            texts = {} if value is None else {key: value.get(key) for key in ("apiVersion", "kind")}
            if not all(isinstance(text, str | None) for text in texts.values()):
                raise decode.DecodeError("kind and version are texts")
        except (decode.DecodeError, AttributeError):
            decode.of_kind(data)
            raise
        if not texts.get("kind"):
            served = data.decode(errors="replace")
            raise decode.DecodeError(f"Object 'Kind' is missing in '{served}'", syntax=True)
        sent, expected = texts["apiVersion"] or "", self.resource.api_version
        value["apiVersion"] = sent
        if origin == SENT and sent != expected:
            raise errors.bad_request(
                f"the API version in the data ({sent}) does not match the expected API version "
                f"({expected})"
            )
        obj, unknown = self._object(value, applied=origin == APPLIED)
        problems += [f'unknown field "{path}"' for path in unknown]
        return obj, problems if looking == decode.WARN else []

    def _object(self, value: dict[str, Any], applied: bool) -> tuple[CustomObject, list[str]]:
        """The object, and the fields that it does not have."""
        unknown: list[str] = []
        meta = ObjectMeta()
        if value.get("metadata") is not None:
            meta = metadata.read(value["metadata"], lenient=False, unknown=unknown)
        node = self.validator.node
        if not self.shared.preserve:
            unknown += prune.prune(value, structural.as_root(node))
            if not applied:
                prune.prune_nulls(value, node)
        try:
            unknown += metadata.coerce(value, node, lenient=False)
        except metadata.BadMetadata as error:
            raise decode.DecodeError(str(error.error)) from None
        default.default(value, node)
        value["metadata"] = meta
        obj: CustomObject = self.resource.type(value)
        obj.is_applied = applied
        return obj, unknown

    def encode(self, obj: CustomObject) -> Value:
        """Kind, version and metadata first, whatever keys there are: see ``custom``. What follows
        has its keys in order."""
        if obj.is_applied and not self.shared.preserve:
            prune.prune_nulls(obj, self.validator.node)
        obj.metadata.resourceVersion = "\x00"
        first = b'{"kind":%s,"apiVersion":%s,"metadata":%s' % (
            _encode(obj.kind),
            _encode(obj.apiVersion),
            _encode_sorted(obj.metadata),
        )
        rest = {key: value for key, value in obj.items() if key not in _FIRST}
        data = first + (b"," + _encode_sorted(rest)[1:] if rest else b"}")
        return around_revision(gotext.in_go(data))

    def load_status(self, item: KeyValue) -> Any:
        return self.load(item).status

    def validate_served(self, new: Any, old: Any, subresource: str) -> None:
        if self.hub is self:
            return
        validator, resource = self.validator, self.resource
        if old is None:
            resource.prepare_create(new)
            problems = validator.validate(new)
        elif subresource == "status":
            new.keep_all_but_status(old)
            problems = validator.validate_status(new, old)
        else:
            if resource.has_status:
                new.status = old.status
            problems = validator.validate_update(new, old)
        if problems:
            raise errors.invalid(resource.group_kind, new.metadata.name, problems)

    async def to_stored(self, obj: Any) -> Any:
        if self.hub is self:
            return obj
        hub = self.hub
        (plain,) = await self.shared.convert([obj.plain()], hub.resource.api_version)
        stored: CustomObject = hub.decode(_encode(_in_order(plain)))
        # It was validated in the version of the request; this is the stored version.
        stored.is_validated = True
        stored.is_applied = obj.is_applied
        return stored

    async def from_stored(self, items: list[KeyValue]) -> list[KeyValue]:
        """Stored items in this version and by its schema."""
        head, stale = self._head, self.shared.stale_until
        todo = [
            position
            for position, item in enumerate(items)
            if item.revision <= stale or not item.value.startswith(head)
        ]
        if not todo:
            return items
        served = list(items)
        left: list[int] = []
        for position in todo:
            item = items[position]
            known = self._kept.known(item.key, item.value)
            if known is None:
                left.append(position)
            else:
                served[position] = _with(item, known)
        if left:
            plains = [self._up_to_date(items[position].value) for position in left]
            converted = await self.shared.convert(plains, self.resource.api_version)
            for position, plain in zip(left, converted, strict=True):
                item = items[position]
                made = gotext.in_go(_encode(self._pruned(plain)))
                served[position] = _with(item, self._kept.put(item.key, item.value, made))
        return served

    async def converted(self, obj: Any) -> bytes:
        if self.hub is self:
            return gotext.in_go(_encode(obj))
        (plain,) = await self.shared.convert([obj.plain()], self.resource.api_version)
        return gotext.in_go(_encode(self._pruned(plain)))

    async def taken(self, data: bytes) -> Any:
        obj, _ = self.read(data, decode.IGNORE, PATCHED)
        return await self.to_stored(obj)

    @staticmethod
    def replace(target: Any, source: Any) -> None:
        target.clear()
        target.update(source)
        target.is_validated = False

    def _up_to_date(self, value: bytes) -> dict[str, Any]:
        """A stored object by the schema of the version that it is stored in."""
        plain: dict[str, Any] = json.plain(value)
        version = plain["apiVersion"].rpartition("/")[2]
        validator = self.shared.validators.get(version)
        if validator is not None:
            self._fit(plain, validator)
            default.default(plain, validator.node)
        return plain

    def _pruned(self, plain: dict[str, Any]) -> dict[str, Any]:
        self._fit(plain, self.validator)
        return _in_order(plain)

    def _fit(self, plain: dict[str, Any], validator: Validator) -> None:
        node = validator.node
        if not self.shared.preserve:
            prune.prune(plain, structural.as_root(node))
            prune.prune_nulls(plain, node)
        metadata.coerce(plain, node, lenient=True)


def relabelled(kind: Callable[..., CustomObject], api_version: str) -> Any:
    """The function to another version where versions differ in nothing but their name."""

    def convert(obj: CustomObject) -> CustomObject:
        return kind({**obj, "apiVersion": api_version})

    return convert


def _with(item: KeyValue, value: bytes) -> KeyValue:
    return KeyValue(item.key, value, item.revision, item.created)


def _in_order(plain: dict[str, Any]) -> dict[str, Any]:
    """Kind, version and metadata first: see ``custom``."""
    first = {key: plain[key] for key in _FIRST}
    return first | plain


_META: Node = tree.of(ObjectMeta)


def _with_metadata(atom: Atom) -> Atom:
    """The schema's own atom, with the fields that every object has."""
    rule = atom.map
    if rule is None:
        return atom
    text = Atom(scalar=STRING)
    always = {"kind": text, "apiVersion": text, "metadata": Nodes().atom(_META)}
    fields = {**rule.fields, **always}
    return Atom(map=MapRule(lambda: fields, rule.element, atomic=rule.atomic))
