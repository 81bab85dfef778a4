"""A kind as it is served: its ``Resource`` and what generic code compiled for it once.

Made by ``served`` for every resource that is served; used by the verbs. The store's keys are
``/registry/<plural[.group]>/[<namespace>/]<name>``. A version that is not the stored one has an
endpoint of its own, whose ``hub`` is the endpoint that is written and read: ``to_stored``
and ``from_stored`` convert between the two. Custom kinds, which a webhook may convert, have a
subclass with these two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import msgspec

from trireme.apiserver.derived import Derived
from trireme.apiserver.request import MEDIA
from trireme.machinery import gotext
from trireme.machinery.codec import builtin
from trireme.machinery.codec.protobuf import encode as protobuf
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode, normalise, tree
from trireme.store.contract import KeyValue, Subscription, Value

# Stands where the store writes the revision; a quote inside a JSON string is always escaped, and
# kind, apiVersion and the metadata before it hold plain strings only, so the first match is it.
_SLOT = b'"resourceVersion":"\x00"'.replace(b"\x00", b"\\u0000")
_SLOT_HEAD = len(b'"resourceVersion":"')


# What an object was made by: a client sent it, or the server made it by a JSON or merge patch, by a
# strategic merge patch, or by an apply.
SENT, PATCHED, MERGED, APPLIED = "sent", "patched", "merged", "applied"


class ServedVersion(Protocol):
    """What discovery and OpenAPI need of an endpoint."""

    @property
    def resource(self) -> Resource: ...
    @property
    def served(self) -> tuple[str, ...]: ...


# Maps with their keys in order, as Go writes them: the same object is always the same bytes, and a
# write that only turns keys around is none.
_encode = msgspec.json.Encoder(order="deterministic").encode


class Endpoint:
    """One served kind in one version. ``served`` are the media types of its answers."""

    # How a body becomes an object, where the resource's type does not say it: (JSON bytes, field
    # validation, what made it) -> (object, unknown and duplicate fields); DecodeError.
    read: Callable[[bytes, str, str], tuple[Any, list[str]]] | None = None
    # What every request is warned of.
    warnings: tuple[str, ...] = ()
    # Whether field selectors are about the served version, not the stored one.
    selects_served = False
    # Whether ``convert_by_webhook`` is the way to another version.
    converts_by_webhook = False

    def __init__(
        self, resource: Resource, hub: Endpoint | None = None, served: tuple[str, ...] = MEDIA
    ) -> None:
        self.resource = resource
        self.hub = hub or self
        self.served = served
        # Whether the version served is another one than the version stored.
        self.converts = self.hub is not self
        self.root: str = self.hub.root if hub else f"/registry/{resource.group_resource}/"
        # Items of a list come without kind and apiVersion; every stored value starts with these.
        identity = resource.type()
        self.item_prefix = len(
            b'{"kind":%s,"apiVersion":%s,'
            % (msgspec.json.encode(identity.kind), msgspec.json.encode(identity.apiVersion))
        )
        self.list_head = b'{"kind":%s,"apiVersion":%s,"metadata":' % (
            msgspec.json.encode(f"{resource.kind}List"),
            msgspec.json.encode(identity.apiVersion),
        )
        self._envelope = protobuf.envelope(identity.apiVersion, identity.kind)
        self.list_envelope = protobuf.envelope(identity.apiVersion, f"{resource.kind}List")
        self._messages = Derived(self._encode_message)
        self._converted = Derived(self._encode_converted)
        self._metadata = Derived(_encode_metadata)

    @cached_property
    def decode(self) -> Callable[[bytes], Any]:
        """From stored bytes to an object; made at first use, as most kinds are never used."""
        return msgspec.json.Decoder(self.resource.type).decode

    @cached_property
    def has_floats(self) -> bool:
        """Whether its objects may hold numbers that are no integers."""
        return tree.has_floats(self.resource.type)

    async def convert_by_webhook(self, value: Any, version: str) -> Any:
        """A plain object of this version in another one; where ``converts_by_webhook``."""
        raise NotImplementedError(f"{self.resource.api_version} is converted here")

    def prefix(self, namespace: str) -> str:
        """The keys of a namespace, or of all when it is empty."""
        return f"{self.root}{namespace}/" if namespace else self.root

    def key(self, namespace: str, name: str) -> str:
        return f"{self.root}{namespace}/{name}" if self.resource.namespaced else self.root + name

    def default(self, obj: Any) -> None:
        """Canonical texts, the defaults of the type's markers, then the kind's own."""
        normalise.normalise(obj)
        self.resource.defaults(obj)

    def encode(self, obj: Any) -> Value:
        """The bytes of an object around the place where the store writes its revision."""
        obj.metadata.resourceVersion = "\x00"
        data = _encode(obj)
        return around_revision(gotext.in_go(data) if self.has_floats else data)

    def load(self, item: KeyValue) -> Any:
        """A fresh, typed copy of a stored object."""
        return self.decode(item.value)

    def load_status(self, item: KeyValue) -> Any:
        """A fresh, typed copy of a stored object's status; the rest is not looked at."""
        return self._decode_status(item.value).status

    @cached_property
    def _decode_status(self) -> Callable[[bytes], Any]:
        fields = msgspec.structs.fields(self.resource.type)
        status = next(field for field in fields if field.name == "status")
        default: Any = msgspec.field(default=status.default)
        if status.default_factory is not msgspec.NODEFAULT:
            default = msgspec.field(default_factory=status.default_factory)
        only = msgspec.defstruct("OnlyStatus", [("status", status.type, default)])
        return msgspec.json.Decoder(only).decode

    def validate_served(self, new: Any, old: Any, subresource: str) -> None:
        """Validate a write in the version of the request, where that has rules of its own (custom
        kinds); ApiError 422. ``old`` is None for a new object."""

    async def to_stored(self, obj: Any) -> Any:
        """An object of this version, taken over, as one of the stored version."""
        conversion = self.resource.stored_as
        return obj if conversion is None else conversion.to_stored(obj)

    async def from_stored(self, items: list[KeyValue]) -> list[KeyValue]:
        """Stored items as this version has them."""
        if not self.converts:
            return items
        converted = self._converted.of
        return [
            KeyValue(item.key, converted(item.key, item.value), item.revision, item.created)
            for item in items
        ]

    async def converted(self, obj: Any) -> bytes:
        """An object of the stored version as JSON of this one; the object stays as it is."""
        conversion = self.resource.stored_as
        if self.converts and conversion is not None:
            obj = conversion.from_stored(self.hub.decode(_encode(obj)))
        data = _encode(obj)
        return gotext.in_go(data) if self.has_floats else data

    async def taken(self, data: bytes) -> Any:
        """JSON of this version that admission made, as a defaulted object of the stored version.
        DecodeError where it is no object of the kind."""
        obj: Any
        obj, _ = decode.decode(data, self.resource.type, decode.IGNORE, unique=True)
        if (obj.apiVersion, obj.kind) != (self.resource.api_version, self.resource.kind):
            raise decode.DecodeError(f"{obj.apiVersion}, Kind={obj.kind} is another kind")
        self.default(obj)
        return await self.to_stored(obj) if self.converts else obj

    @staticmethod
    def replace(target: Any, source: Any) -> None:
        """Make one object equal to another of its type; the parts are shared."""
        for name in target.__struct_fields__:
            setattr(target, name, getattr(source, name))

    def watching(self, subscription: Subscription) -> None:
        """A watch has begun; an endpoint that goes away ends it."""

    def message(self, key: str, value: bytes) -> bytes:
        """The protobuf message of a served value, made once for each revision."""
        return self._messages.of(key, value)

    def protobuf(self, key: str, value: bytes) -> bytes:
        """The whole protobuf body of a served value."""
        return protobuf.enclosed(self._envelope, self._messages.of(key, value))

    def metadata_message(self, key: str, value: bytes) -> bytes:
        """The protobuf message of an object's metadata alone, made once for each revision."""
        return self._metadata.of(key, value)

    def protobuf_metadata(self, key: str, value: bytes, version: str) -> bytes:
        """The protobuf body of a served value's PartialObjectMetadata."""
        head = protobuf.envelope(f"meta.k8s.io/{version}", "PartialObjectMetadata")
        return protobuf.enclosed(head, self._metadata.of(key, value))

    def _encode_message(self, value: bytes) -> bytes:
        resource = self.resource
        name = builtin.messages().of_kind(resource.api_version, resource.kind)
        if name is None:
            raise LookupError(f"{resource.api_version} {resource.kind} has no protobuf message")
        return builtin.encoder().from_json(name, value)

    def _encode_converted(self, value: bytes) -> bytes:
        conversion = self.resource.stored_as
        assert conversion is not None
        converted = _encode(conversion.from_stored(self.hub.decode(value)))
        return gotext.in_go(converted) if self.has_floats else converted


def _encode_metadata(value: bytes) -> bytes:
    return builtin.encoder().from_json("meta.v1.PartialObjectMetadata", value)


def around_revision(data: bytes) -> Value:
    """An encoded object, whose resourceVersion is a zero byte, around that place."""
    at = data.index(_SLOT) + _SLOT_HEAD
    return Value(data[:at], data[at + 6 :])


def with_revision(value: bytes, revision: int) -> bytes:
    """A stored value with another resourceVersion: what a watcher gets when an object leaves its
    selection, or a dry run that has none."""
    head, mark, rest = value.partition(b'"resourceVersion":"')
    return head + mark + b"%d" % revision + rest[rest.index(b'"') :]
