"""The objects of a write as webhooks and policies see them: JSON of a version that they ask for.

In: an object as the write path has it (the stored version), the version wanted. Out: its JSON; and
back: JSON that a webhook or a policy made, as the object that is written from then on. ``of`` gives
the way of a write. Upstream: apiserver ``admission/conversion``, EquivalentResourceMapper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import errors
from trireme.machinery.codec import json
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode

if TYPE_CHECKING:
    from trireme.apiserver.admission.contract import Attributes


class GroupVersionKind(NamedTuple):
    group: str
    version: str
    kind: str


class GroupVersionResource(NamedTuple):
    group: str
    version: str
    resource: str


class Version(NamedTuple):
    """A kind in one version: how rules name it, and what its objects are."""

    endpoint: Endpoint
    resource: GroupVersionResource
    kind: GroupVersionKind


def version(endpoint: Endpoint, subresource: str = "") -> Version:
    """The version that an endpoint serves; a subresource may have a kind of its own."""
    resource = endpoint.resource
    return Version(
        endpoint,
        GroupVersionResource(resource.group, resource.version, resource.plural),
        _kind(resource, subresource),
    )


def _kind(resource: Resource, subresource: str) -> GroupVersionKind:
    declared = resource.subresource(subresource) if subresource else None
    api_version, kind = resource.api_version, resource.kind
    if declared is not None and declared.type is not None:
        made: Any = declared.type()
        api_version, kind = made.apiVersion, made.kind
    elif declared is not None and declared.kind:
        kind = declared.kind
    group, _, name = api_version.rpartition("/")
    return GroupVersionKind(group, name, kind)


class Objects(Protocol):
    """From the write path's objects to those of a version, and back."""

    async def shown(self, obj: Any, wanted: Version) -> bytes:
        """The object as JSON of a version. ApiError."""

    async def take(self, attributes: Attributes, data: bytes, made: Version) -> None:
        """Make JSON of a version the new object of the write, defaulted. ApiError."""


class Stored:
    """Objects of stored kinds."""

    async def shown(self, obj: Any, wanted: Version) -> bytes:
        return await wanted.endpoint.shown(obj)

    async def take(self, attributes: Attributes, data: bytes, made: Version) -> None:
        try:
            obj = await made.endpoint.taken(data)
        except decode.DecodeError as error:
            raise errors.internal_error(error.message) from None
        made.endpoint.replace(attributes.new, obj)


class Sent:
    """Objects that nothing stores (a Binding, the options of a connection)."""

    async def shown(self, obj: Any, wanted: Version) -> bytes:
        return json.encode(obj)

    async def take(self, attributes: Attributes, data: bytes, made: Version) -> None:
        try:
            obj = msgspec.json.decode(data, type=type(attributes.new))
        except msgspec.DecodeError as error:
            raise errors.internal_error(error) from None
        attributes.endpoint.replace(attributes.new, obj)


_STORED = Stored()
SENT = Sent()


def of(attributes: Attributes) -> Objects:
    """The way of the objects of a write."""
    return attributes.objects or _STORED
