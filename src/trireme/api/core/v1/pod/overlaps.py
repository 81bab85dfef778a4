"""Files of a volume that would stand in each other's way: one path is another, or lies below it.

In: the volumes of a pod. Out: warnings. Called by: ``warnings``. Upstream: pkg/api/pod/warnings.go
(warningsForOverlappingVirtualPaths).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from trireme.api.core.v1.pod.volumes import Volume, VolumeProjection
from trireme.machinery import gotext

_NOTHING: Final = VolumeProjection()


class _File(NamedTuple):
    path: str
    source: str

    def __str__(self) -> str:
        shown = gotext.quote(self.path)
        return f"{shown} ({self.source})" if self.source else shown


def warnings(volumes: list[Volume]) -> list[str]:
    """Overlaps within each volume, in the order of the volumes."""
    found: list[str] = []
    for volume in volumes:
        for what, items in _sources(volume):
            _overlaps(found, volume.name, what, [], (_File(item.path, "") for item in items))
        if volume.projected is not None:
            files: list[_File] = []
            for source in volume.projected.sources:
                if source == _NOTHING:
                    shown = gotext.quote(volume.name)
                    found.append(f"volume {shown} (Projected) has no sources provided")
                _overlaps(found, volume.name, "Projected", files, _projected(source))
    return found


def _sources(volume: Volume) -> Iterator[tuple[str, list[Any]]]:
    if volume.configMap is not None:
        yield f"ConfigMap {gotext.quote(volume.configMap.name)}", volume.configMap.items
    if volume.secret is not None:
        yield f"Secret {gotext.quote(volume.secret.secretName)}", volume.secret.items
    if volume.downwardAPI is not None:
        yield "DownwardAPI", volume.downwardAPI.items


def _projected(source: VolumeProjection) -> Iterator[_File]:
    """The files of one source of a projected volume; keys that are not listed are not known."""
    items: list[Any] = []
    name = ""
    if source.configMap is not None and source.configMap.items:
        items, name = source.configMap.items, f"ConfigMap {gotext.quote(source.configMap.name)}"
    elif source.secret is not None and source.secret.items:
        items, name = source.secret.items, f"Secret {gotext.quote(source.secret.name)}"
    elif source.downwardAPI is not None and source.downwardAPI.items:
        items, name = source.downwardAPI.items, "DownwardAPI"
    elif source.serviceAccountToken is not None:
        items, name = [source.serviceAccountToken], "ServiceAccountToken"
    elif source.clusterTrustBundle is not None:
        bundle = source.clusterTrustBundle
        shown = bundle.signerName if bundle.name is None else bundle.name
        items, name = [bundle], f"ClusterTrustBundle {gotext.quote(shown or '')}"
    for item in items:
        yield _File(item.path, name)
    if not items and source.podCertificate is not None:
        made = source.podCertificate
        for path, what in (
            (made.certificateChainPath, "chain"),
            (made.keyPath, "key"),
            (made.credentialBundlePath, "credential bundle"),
        ):
            if path:
                yield _File(path, f"PodCertificate {what}")


def _overlaps(
    found: list[str], volume: str, what: str, before: list[_File], files: Iterable[_File]
) -> None:
    """Compare ``files`` with those ``before`` them, to which they are added."""
    for file in files:
        file = file._replace(path=file.path.rstrip("/"))
        for other in before if file.path else ():
            if other.path and _in_the_way(file.path + "/", other.path + "/"):
                shown = f"volume {gotext.quote(volume)} ({what})"
                found.append(f"{shown}: overlapping paths: {file} with {other}")
        before.append(file)


def _in_the_way(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
