"""Which kinds are served: an endpoint for every version of a built-in kind, and the custom kinds.

In: the catalog, what the operator has switched on, the definitions in the store. Out: endpoints,
and values derived from what is served (discovery, OpenAPI), made again when that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import msgspec

from trireme.apiserver.crd.kinds import CustomKinds
from trireme.apiserver.endpoint import Endpoint, ServedVersion
from trireme.machinery.resource import Resource

T = TypeVar("T")
# (group, version, plural)
Key = tuple[str, str, str]


class Swagger(NamedTuple):
    """A part of an OpenAPI v2 document."""

    paths: dict[str, Any]
    definitions: dict[str, Any]


class RemoteVersion(msgspec.Struct, frozen=True, eq=False):
    """A version of a group that an aggregated API server serves, and what that says of it.

    ``name`` is the APIService's. ``resources`` are APIResourceDiscovery values. ``openapi`` maps
    the paths of OpenAPI v3 documents to their addresses on that server.
    """

    name: str
    group: str
    version: str
    group_priority: int
    version_priority: int
    resources: list[dict[str, Any]]
    is_stale: bool
    openapi: dict[str, str]
    swagger: Swagger


class BuiltIn:
    """The endpoints of the built-in kinds; ``served`` are those of ``known`` that are served.

    The server itself also reads kinds that it does not serve: ``by_type`` has all.
    """

    def __init__(
        self, known: Iterable[Resource], served: tuple[Resource, ...], media: tuple[str, ...]
    ) -> None:
        self.resources = served
        self.media = media
        self.endpoints: dict[Key, Endpoint] = {}
        self.by_type: dict[type, Endpoint] = {}
        ids = {id(resource) for resource in served}
        hubs: dict[int, Endpoint] = {}
        # Those that are stored come first.
        for resource in sorted(known, key=lambda item: item.stored_as is not None):
            conversion, hub = resource.stored_as, None
            if conversion is not None:
                stored = conversion.stored
                hub = hubs.get(id(stored))
                if hub is None:
                    hub = hubs[id(stored)] = Endpoint(stored, served=media)
                    self.by_type.setdefault(stored.type, hub)
            endpoint = Endpoint(resource, hub, media)
            hubs[id(resource)] = endpoint
            if id(resource) in ids:
                self.endpoints[resource.group, resource.version, resource.plural] = endpoint
            self.by_type[resource.type] = endpoint


class ServedKinds:
    """All that one API server serves now. ``media``: the media types of API objects."""

    def __init__(self, built_in: BuiltIn, custom: CustomKinds) -> None:
        self.endpoints = built_in.endpoints
        self.by_type = built_in.by_type
        self.resources = built_in.resources
        self.media = built_in.media
        self.custom = custom
        # The groups of built-in kinds.
        self.groups = frozenset(group for group, _, _ in self.endpoints)
        self._plurals: dict[Key, str] = {}
        # Replaced as a whole when one changes; by name.
        self.remote: tuple[RemoteVersion, ...] = ()
        self._derived: dict[Any, tuple[tuple[Any, ...], Any]] = {}

    def versions(self) -> tuple[ServedVersion, ...]:
        """What discovery and OpenAPI list."""
        return (*self.endpoints.values(), *self.custom.served_versions())

    def versions_of(self, endpoint: Endpoint) -> list[Endpoint]:
        """The endpoints of all served versions of an endpoint's kind, its own among them."""
        resource = endpoint.resource
        if (resource.group, resource.version, resource.plural) in self.endpoints:
            return [other for other in self.endpoints.values() if other.root == endpoint.root]
        return [*self.custom.versions_of(resource.group_resource)] or [endpoint]

    def all_endpoints(self) -> Iterator[Endpoint]:
        """The endpoints that there are now; of custom kinds those that have been used."""
        return chain(self.endpoints.values(), self.custom.endpoints_in_use())

    def of_kind(self, group: str, version: str, kind: str) -> Endpoint | None:
        """The endpoint of a kind; None where it is not served."""
        plural = self._plurals.get((group, version, kind))
        if plural is None:
            plural = next(
                (
                    one.resource.plural
                    for one in self.versions()
                    if (one.resource.group, one.resource.version) == (group, version)
                    and one.resource.kind == kind
                ),
                None,
            )
            if plural is None:
                return None
            self._plurals[group, version, kind] = plural
        found = self.endpoints.get((group, version, plural))
        if found is None:
            found = self.custom.endpoint(group, version, plural)
        if found is None or found.resource.kind != kind:
            # Another kind may have its name by now.
            del self._plurals[group, version, kind]
            return None
        return found

    def derived(self, make: Callable[[ServedKinds], T]) -> T:
        """What ``make`` returns, kept until what is served changes."""
        now = (*self.versions(), *self.remote)
        known = self._derived.get(make)
        if known is None or known[0] != now:
            known = self._derived[make] = now, make(self)
        value: T = known[1]
        return value
