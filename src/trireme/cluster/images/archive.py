"""What an image archive contains, and the archive in the form that containerd takes.

In: a tar file, plain or compressed with gzip, bzip2 or xz, that holds an OCI layout (`buildah`,
`skopeo`, `docker buildx`, `build`) or the older Docker form (`docker save`).  Out: its images with
full names, and a plain tar in which every image carries its full name, which `ctr` asks for and
many tools leave out.  Called by `load` and `trireme image load`.
https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from trireme.cluster.images import reference
from trireme.cluster.user_error import UserError

CONTAINERD_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_JSON = 8 << 20


class ArchivedImage(msgspec.Struct, frozen=True):
    """One image of an archive."""

    names: tuple[str, ...]
    """Full references; empty if the archive gives none."""
    digest: str
    """Of the manifest; empty in a Docker archive, which has none."""
    platforms: tuple[str, ...]
    """Such as `linux/amd64`."""
    layers: int
    size: int
    """Bytes of all layers as they are in the archive."""


class BadArchive(UserError):
    """The file is no image archive, or a damaged one; the message says which part."""


def read(path: str | Path) -> list[ArchivedImage]:
    """The images of an archive, in its order.  Raises BadArchive, FileNotFoundError."""
    with _open(path) as tar:
        members = _members(tar)
        if "index.json" in members:
            return _oci(tar, members)
        if "manifest.json" in members:
            return _docker(tar, members)
    raise BadArchive(f"{path}: neither index.json (OCI) nor manifest.json (Docker) in it")


def prepare(path: str | Path, output: str | Path, names: Sequence[str] = ()) -> list[str]:
    """Writes the archive to `output` as containerd takes it, and returns the images' full names.

    `names` gives the name to the one image of an archive, instead of those that it has.
    Raises BadArchive, in particular if an image has no name.
    """
    full = [reference.normalise(name) for name in names]
    images = read(path)
    if full and len(images) != 1:
        raise BadArchive(f"{path}: a name was given, but there are {len(images)} images in it")
    nameless = [image.digest for image in images if not image.names and not full]
    if nameless:
        raise BadArchive(f"{path}: image {nameless[0]} has no name in it: give one")
    with _open(path) as tar, tarfile.open(output, "w") as out:
        members = _members(tar)
        oci = "index.json" in members
        for name, member in members.items():
            if oci and name == "manifest.json":
                # Docker writes both forms into one file; the OCI one says all.
                continue
            if name == "index.json":
                _put(out, name, _named_index(_load(tar, members, name), full))
            elif name == "manifest.json":
                _put(out, name, _named_manifest(_load(tar, members, name), full))
            else:
                out.addfile(member, tar.extractfile(member) if member.isreg() else None)
    return full or sorted({name for image in images for name in image.names})


def _open(path: str | Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:*")
    except tarfile.ReadError as error:
        with open(path, "rb") as file:
            if file.read(4) == _ZSTD_MAGIC:
                raise BadArchive(
                    f"{path}: compressed with zstd, which is not read here: unpack it with "
                    "`zstd -d` first"
                ) from None
        raise BadArchive(f"{path}: not a tar file: {error}") from None


def _members(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    try:
        return {member.name.removeprefix("./"): member for member in tar.getmembers()}
    except (tarfile.ReadError, EOFError, OSError) as error:
        raise BadArchive(f"{tar.name!s}: cut off or damaged: {error}") from None


def _oci(tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> list[ArchivedImage]:
    index = _load(tar, members, "index.json")
    found: dict[str, ArchivedImage] = {}
    for descriptor in _list(index, "manifests", "index.json"):
        names = tuple(_name_of(descriptor))
        digest = _digest(descriptor)
        if digest in found:
            names = (*found[digest].names, *names)
        found[digest] = _oci_image(tar, members, descriptor, names)
    return list(found.values())


def _oci_image(
    tar: tarfile.TarFile,
    members: dict[str, tarfile.TarInfo],
    descriptor: dict[str, Any],
    names: tuple[str, ...],
) -> ArchivedImage:
    platforms, layers = [], []
    for manifest in _manifests(tar, members, descriptor):
        config = _blob(tar, members, manifest.get("config", {}))
        # Attestations travel as images for an unknown platform.
        if config.get("os", "unknown") != "unknown":
            platforms.append(f"{config['os']}/{config.get('architecture', 'unknown')}")
            layers.extend(_list(manifest, "layers", _digest(descriptor)))
    return ArchivedImage(
        names=names,
        digest=_digest(descriptor),
        platforms=tuple(platforms),
        layers=len(layers),
        size=sum(layer.get("size", 0) for layer in layers),
    )


def _manifests(
    tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], descriptor: dict[str, Any]
) -> list[dict[str, Any]]:
    """The manifests of the platforms that the archive really holds."""
    blob = _blob(tar, members, descriptor)
    if descriptor.get("mediaType") not in _INDEX_TYPES and "manifests" not in blob:
        return [blob]
    inner = _list(blob, "manifests", _digest(descriptor))
    held = [one for one in inner if _blob_path(one) in members]
    if not held:
        raise BadArchive(f"{tar.name!s}: {_digest(descriptor)} lists no image that is in it")
    return [found for one in held for found in _manifests(tar, members, one)]


def _docker(tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> list[ArchivedImage]:
    found = []
    manifest = _load(tar, members, "manifest.json")
    if not isinstance(manifest, list):
        raise BadArchive(f"{tar.name!s}: manifest.json is not a list")
    for image in manifest:
        config = _load(tar, members, str(image.get("Config")))
        layers = [_member(tar, members, name) for name in _list(image, "Layers", "manifest.json")]
        found.append(
            ArchivedImage(
                names=tuple(reference.normalise(tag) for tag in image.get("RepoTags") or ()),
                digest="",
                platforms=(f"{config.get('os', 'linux')}/{config.get('architecture')}",),
                layers=len(layers),
                size=sum(layer.size for layer in layers),
            )
        )
    return found


def _named_index(index: dict[str, Any], names: list[str]) -> Any:
    manifests = []
    for descriptor in index["manifests"]:
        for name in names or _name_of(descriptor):
            annotations = {**(descriptor.get("annotations") or {}), CONTAINERD_NAME: name}
            manifests.append({**descriptor, "annotations": annotations})
        if names:
            break
    return {**index, "manifests": manifests}


def _named_manifest(manifest: list[dict[str, Any]], names: list[str]) -> Any:
    return [
        {**image, "RepoTags": names or [reference.normalise(tag) for tag in image["RepoTags"]]}
        for image in manifest
    ]


def _name_of(descriptor: dict[str, Any]) -> list[str]:
    """The full name that a descriptor gives, if it does; a mere tag is none."""
    annotations = descriptor.get("annotations") or {}
    if CONTAINERD_NAME in annotations:
        return [reference.normalise(annotations[CONTAINERD_NAME])]
    name = annotations.get(_REF_NAME, "")
    return [reference.normalise(name)] if "/" in name or ":" in name else []


def _blob(
    tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], descriptor: dict[str, Any]
) -> dict[str, Any]:
    found = _load(tar, members, _blob_path(descriptor))
    if not isinstance(found, dict):
        raise BadArchive(f"{tar.name!s}: {_blob_path(descriptor)} is not a JSON object")
    return found


def _blob_path(descriptor: dict[str, Any]) -> str:
    algorithm, _, value = _digest(descriptor).partition(":")
    return f"blobs/{algorithm}/{value}"


def _digest(descriptor: dict[str, Any]) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or ":" not in digest:
        raise BadArchive(f"descriptor without a digest: {json.dumps(descriptor)[:200]}")
    return digest


def _list(value: dict[str, Any], key: str, where: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise BadArchive(f"{where}: no list {key!r} in it")
    return found


def _load(tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str) -> Any:
    member = _member(tar, members, name)
    if member.size > _MAX_JSON:
        raise BadArchive(f"{tar.name!s}: {name} has {member.size} bytes, too many for JSON")
    file = tar.extractfile(member)
    if file is None:
        raise BadArchive(f"{tar.name!s}: {name} is not a file")
    try:
        return json.loads(file.read())
    except ValueError as error:
        raise BadArchive(f"{tar.name!s}: {name} is not JSON: {error}") from None


def _member(
    tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str
) -> tarfile.TarInfo:
    if name not in members:
        raise BadArchive(f"{tar.name!s}: {name} is missing")
    return members[name]


def _put(out: tarfile.TarFile, name: str, value: Any) -> None:
    content = json.dumps(value).encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    out.addfile(member, io.BytesIO(content))
