"""Which versions of groups are served by aggregated API servers.

In: APIServices as they come, change and go. Out: the one that a request is for. With none of them
the question costs nothing. Kept by ``aggregate``, asked by ``dispatch`` and discovery.
"""

from __future__ import annotations

from trireme.api.apiregistration.v1.apiservice import APIService
from trireme.apiserver.request import RequestInfo

Version = tuple[str, str]


class Routes:
    """Group and version to the APIService that names its server."""

    def __init__(self) -> None:
        self._by_version: dict[Version, APIService] = {}

    def record(self, name: str, obj: APIService | None) -> None:
        """Note what an APIService says now; None: it is gone."""
        version, _, group = name.partition(".")
        if obj is None or obj.spec.service is None:
            self._by_version.pop((group, version), None)
        else:
            self._by_version[group, version] = obj

    def find(self, info: RequestInfo) -> APIService | None:
        """The APIService of another server that a request is for."""
        if not self._by_version:
            return None
        if info.is_resource:
            return self._by_version.get((info.group, info.version))
        parts = info.path.strip("/").split("/")
        if len(parts) < 3 or parts[0] != "apis":
            return None
        return self._by_version.get((parts[1], parts[2]))

    def all(self) -> list[APIService]:
        """All of them, by name."""
        found = self._by_version.values()
        return sorted(found, key=lambda obj: obj.metadata.name)
