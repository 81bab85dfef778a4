"""Overlapping paths of a volume: two files with one path, or one below the other.

In: the volumes of a pod. Out: warnings. Called by: ``warnings``. Upstream: pkg/api/pod/warnings.go
(warningsForOverlappingVirtualPaths).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from trireme.api.core.v1.pod.volumes import Volume, VolumeProjection
from trireme.machinery import gotext

_NOTHING: Final = VolumeProjection()


# Overlaps of one volume that are reported. A header carries fewer, and there may be millions.
_MOST: Final = 500


class _File(NamedTuple):
    """``name`` is that of the source's object, if it has one."""

    path: str
    source: str = ""
    name: str | None = None

    def __str__(self) -> str:
        path = gotext.quote(self.path)
        if not self.source:
            return path
        source = self.source if self.name is None else f"{self.source} {gotext.quote(self.name)}"
        return f"{path} ({source})"


def warnings(volumes: list[Volume]) -> list[str]:
    """Overlaps within each volume, in the order of the volumes."""
    found: list[str] = []
    for volume in volumes:
        if volume.projected is not None:
            found += _in_projected(volume.name, volume.projected.sources)
            continue
        for what, items in _sources(volume):
            files = [_File(item.path.rstrip("/")) for item in items]
            found += (text for _, text in _overlaps(volume.name, what, files))
    return found


def _in_projected(name: str, sources: list[VolumeProjection]) -> list[str]:
    """Overlaps of any two sources, each reported at the later one; sources that are none."""
    files: list[_File] = []
    found: list[tuple[int, str]] = []
    for source in sources:
        if source == _NOTHING:
            warning = f"volume {gotext.quote(name)} (Projected) has no sources provided"
            found.append((len(files), warning))
        files += _projected(source)
    if len(files) > 1:
        found += _overlaps(name, "Projected", files)
        found.sort(key=lambda item: item[0])
    return [text for _, text in found]


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
    kind, name = "", None
    if source.configMap is not None and source.configMap.items:
        items, kind, name = source.configMap.items, "ConfigMap", source.configMap.name
    elif source.secret is not None and source.secret.items:
        items, kind, name = source.secret.items, "Secret", source.secret.name
    elif source.downwardAPI is not None and source.downwardAPI.items:
        items, kind = source.downwardAPI.items, "DownwardAPI"
    elif source.serviceAccountToken is not None:
        items, kind = [source.serviceAccountToken], "ServiceAccountToken"
    elif source.clusterTrustBundle is not None:
        bundle = source.clusterTrustBundle
        bundle_name = bundle.signerName if bundle.name is None else bundle.name
        items, kind, name = [bundle], "ClusterTrustBundle", bundle_name or ""
    for item in items:
        yield _File(item.path.rstrip("/"), kind, name)
    if not items and source.podCertificate is not None:
        made = source.podCertificate
        for path, what in (
            (made.certificateChainPath, "chain"),
            (made.keyPath, "key"),
            (made.credentialBundlePath, "credential bundle"),
        ):
            if path:
                yield _File(path.rstrip("/"), f"PodCertificate {what}")


def _overlaps(volume: str, what: str, files: list[_File]) -> Iterator[tuple[int, str]]:
    """The overlaps of a volume's files, with the place of the later one."""
    for later, earlier in _pairs([file.path for file in files]):
        volume_text = f"volume {gotext.quote(volume)} ({what})"
        yield later, f"{volume_text}: overlapping paths: {files[later]} with {files[earlier]}"


def _pairs(paths: list[str]) -> list[tuple[int, int]]:
    """Which two are the same, or one below the other: (the later, the earlier), in order.

    In the order of the texts, what lies below a path comes right behind it.
    """
    if len(set(paths)) == len(paths) and not any("/" in path for path in paths):
        return []
    found: list[tuple[int, int]] = []
    above: list[tuple[str, int]] = []
    for text, place in sorted((path + "/", place) for place, path in enumerate(paths) if path):
        while above and not text.startswith(above[-1][0]):
            above.pop()
        found += ((max(place, other), min(place, other)) for _, other in above)
        if len(found) > _MOST:
            break
        above.append((text, place))
    found.sort()
    return found[:_MOST]
