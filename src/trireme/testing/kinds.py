"""The kinds of a cluster by the names that people use: ``Job``, ``deploy``, ``apps/v1/Deployment``.

In: a name or a type, and what the API server serves. Out: its ``Resource``. Of a name that several
groups have, the core group's is meant, then the first by the group's name; of several versions the
newest stable one (https://kubernetes.io/docs/reference/using-api/#api-versioning).
"""

from __future__ import annotations

from typing import Any

from trireme.apiserver.discovery.documents import version_order
from trireme.apiserver.served import ServedKinds
from trireme.machinery.resource import Resource


class UnknownKind(LookupError):
    """The API server serves no such kind."""


def find(served: ServedKinds, name: str) -> Resource:
    """The resource that ``name`` means. UnknownKind."""
    desired, group, version = _split(name)
    matches = [
        found
        for found in (one.resource for one in served.versions())
        if desired in _names(found)
        and group in (None, found.group)
        and version in (None, found.version)
    ]
    if not matches:
        raise UnknownKind(f"the server doesn't have a resource type {name!r}")
    return min(matches, key=lambda found: (found.group, version_order(found.version)))


def of_manifest(served: ServedKinds, manifest: dict[str, Any]) -> Resource:
    """The resource of an object by its ``apiVersion`` and ``kind``. UnknownKind, ValueError."""
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        raise ValueError(f"no apiVersion and kind in {manifest!r:.200}")
    group, _, version = api_version.rpartition("/")
    endpoint = served.of_kind(group, version, kind)
    if endpoint is None:
        raise UnknownKind(f'no matches for kind "{kind}" in version "{api_version}"')
    return endpoint.resource


def _split(name: str) -> tuple[str, str | None, str | None]:
    """(name in lower case, group, version); None where it is not said."""
    if "/" in name:
        api_version, _, kind = name.rpartition("/")
        group, _, version = api_version.rpartition("/")
        return kind.lower(), group, version
    plain, dot, group = name.partition(".")
    return plain.lower(), group.lower() if dot else None, None


def _names(resource: Resource) -> tuple[str, ...]:
    return (
        resource.kind.lower(),
        resource.plural,
        resource.singular_name,
        *resource.short_names,
    )
