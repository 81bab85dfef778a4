"""All kinds of the API, found by folder: by type, by resource and by kind.

In: the package ``trireme.api`` (or another one that holds ``Resource`` values). Out: a ``Catalog``,
a value that servers, clients and tools look kinds up in.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from trireme.kit import catalog
from trireme.machinery.resource import Resource


@dataclass(frozen=True)
class Catalog:
    """Kinds by their three names. ``by_resource`` has (group, version, plural) as keys, ``by_kind``
    (group, version, kind)."""

    resources: tuple[Resource, ...]
    by_type: dict[type, Resource]
    by_resource: dict[tuple[str, str, str], Resource]
    by_kind: dict[tuple[str, str, str], Resource]

    @staticmethod
    def of(package: ModuleType) -> Catalog:
        """The catalog of every ``Resource`` below a package."""
        found = tuple(catalog.instances(package, Resource))
        return Catalog(
            resources=found,
            by_type={item.type: item for item in found},
            by_resource={(item.group, item.version, item.plural): item for item in found},
            by_kind={(item.group, item.version, item.kind): item for item in found},
        )
