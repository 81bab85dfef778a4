"""The objects of a write as webhooks and policies see them: JSON of a version that they ask for.

In: an object as the write path has it (the stored version), the version desired. Out: its JSON; and
back: JSON that a webhook or a policy made, as the object that is written from then on. Upstream:
apiserver ``admission/conversion``, EquivalentResourceMapper.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import errors
from trireme.machinery.codec import json
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode


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

    async def converted(self, obj: Any, desired: Version) -> bytes:
        """The object as JSON of a version. ApiError."""

    async def take(self, new: Any, data: bytes, made: Version) -> None:
        """Make ``new``, the object that is written, what JSON of a version says, defaulted.
        ApiError."""


class Stored:
    """Objects of stored kinds."""

    async def converted(self, obj: Any, desired: Version) -> bytes:
        return await desired.endpoint.converted(obj)

    async def take(self, new: Any, data: bytes, made: Version) -> None:
        try:
            obj = await made.endpoint.taken(data)
        except decode.DecodeError as error:
            raise errors.internal_error(error.message) from None
        made.endpoint.replace(new, obj)


class Sent:
    """Objects that nothing stores (a Binding, the options of a connection)."""

    async def converted(self, obj: Any, desired: Version) -> bytes:
        return json.encode(obj)

    async def take(self, new: Any, data: bytes, made: Version) -> None:
        try:
            obj = msgspec.json.decode(data, type=type(new))
        except msgspec.DecodeError as error:
            raise errors.internal_error(error) from None
        Endpoint.replace(new, obj)


STORED = Stored()
SENT = Sent()
