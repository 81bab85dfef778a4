"""Files and a configuration become an OCI image archive.

In: an `ImageSpec`, whose files come from memory, from folders or from Debian packages.  Out: a tar
file that holds the image in OCI layout, as `docker load`, `podman load`, `ctr images import` and
`archive`/`load` read it.  Called by `recipes` and `trireme image build`.

One layer, not compressed: the archive is read once from a local disk, and a layer that need not
be inflated starts sooner.  The same files give the same bytes and so the same digests: entries are
sorted, times are 0, owners are root unless told.  https://github.com/opencontainers/image-spec
"""

import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from trireme.cluster.images import reference
from trireme.cluster.user_error import UserError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONTAINERD_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EPOCH = "1970-01-01T00:00:00Z"


class File(msgspec.Struct, frozen=True):
    """One entry of an image.  `path` is relative, without a leading slash."""

    path: str
    kind: str = "file"
    """`file`, `dir` or `link` (symbolic)."""
    content: bytes = b""
    target: str = ""
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class Config(msgspec.Struct, frozen=True):
    """How a container of the image starts, as a Dockerfile says it."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    user: str = ""
    workdir: str = "/"
    ports: tuple[str, ...] = ()
    """Exposed ports such as `8080/tcp`."""
    labels: dict[str, str] = {}


class ImageSpec(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    """References; left-out parts get their defaults."""
    files: tuple[File, ...]
    config: Config = Config()
    machine: str = "x86_64"
    """As `uname -m` says it."""


class BuildFailed(UserError):
    """A source of files could not be read or fetched."""


def build(images: Iterable[ImageSpec]) -> bytes:
    """An OCI archive with all the images.  Raises ValueError for a bad name or machine."""
    blobs: dict[str, bytes] = {}
    manifests = [descriptor for image in images for descriptor in _image(image, blobs)]
    index = {"schemaVersion": 2, "manifests": manifests}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, File("oci-layout", content=_json({"imageLayoutVersion": "1.0.0"}), mode=0o644))
        _add(tar, File("index.json", content=_json(index), mode=0o644))
        for digest in sorted(blobs):
            path = f"blobs/sha256/{digest}"
            _add(tar, File(path, content=blobs[digest], mode=0o644))
    return archive.getvalue()


def folder(path: str | Path, at: str = "", *, owners: bool = False) -> Iterator[File]:
    """All files below a folder, placed under `at` in the image.

    Modes are kept; owners become root unless `owners` are wanted, too.  Raises BuildFailed for
    sockets, devices and pipes.
    """
    base = Path(path)
    if not base.is_dir():
        raise BuildFailed(f"{path}: not a folder")
    for current, folders, files in os.walk(base):
        folders.sort()
        for name in sorted([*folders, *files]):
            full = Path(current, name)
            inside = str(Path(at.strip("/")) / full.relative_to(base))
            yield _from_disk(full, inside, owners=owners)


def packages(names: Iterable[str]) -> list[File]:
    """The files of Debian packages alone, fetched with apt: nothing that they depend on.

    Raises BuildFailed with what apt or dpkg said.
    """
    with tempfile.TemporaryDirectory(prefix="trireme-packages-") as fetched:
        # apt gives up its root rights for a download and must still be able to write there.
        os.chmod(fetched, 0o777)
        _run(["apt-get", "download", "--quiet", *names], cwd=fetched)
        found: dict[str, File] = {}
        for package in sorted(Path(fetched).glob("*.deb")):
            with _unpacked(package) as root:
                found.update((file.path, file) for file in folder(root))
        return [found[path] for path in sorted(found)]


def _image(image: ImageSpec, blobs: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    if image.machine not in ARCHITECTURES:
        raise ValueError(f"no images for machine {image.machine!r}: {', '.join(ARCHITECTURES)}")
    layer = _layer(image.files)
    platform = {"architecture": ARCHITECTURES[image.machine], "os": "linux"}
    config = {
        "created": _EPOCH,
        **platform,
        "config": _oci_config(image.config),
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created": _EPOCH, "created_by": "trireme image build"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _blob(blobs, _json(config), "application/vnd.oci.image.config.v1+json"),
        "layers": [_blob(blobs, layer, "application/vnd.oci.image.layer.v1.tar")],
    }
    stored = _blob(blobs, _json(manifest), _MANIFEST)
    for name in image.names:
        full = reference.parse(name)
        annotations = {_CONTAINERD_NAME: str(full), _REF_NAME: full.tag}
        yield {**stored, "platform": platform, "annotations": annotations}


def _oci_config(config: Config) -> dict[str, Any]:
    filled = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.ports},
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "WorkingDir": config.workdir,
        "Labels": dict(config.labels),
    }
    return {key: value for key, value in filled.items() if value}


def _layer(files: Iterable[File]) -> bytes:
    entries = {file.path.strip("/"): file for file in files}
    for path in list(entries):
        for parent in Path(path).parents:
            if str(parent) != ".":
                entries.setdefault(str(parent), File(str(parent), kind="dir"))
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(entries):
            _add(tar, msgspec.structs.replace(entries[path], path=path))
    return layer.getvalue()


def _add(tar: tarfile.TarFile, file: File) -> None:
    kinds = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
    if file.kind not in kinds:
        raise ValueError(f"{file.path}: unknown kind {file.kind!r}")
    entry = tarfile.TarInfo(file.path)
    entry.type = kinds[file.kind]
    entry.mode = 0o777 if file.kind == "link" else file.mode
    entry.uid, entry.gid, entry.mtime = file.uid, file.gid, 0
    entry.linkname = file.target
    entry.size = len(file.content)
    tar.addfile(entry, io.BytesIO(file.content))


def _from_disk(full: Path, path: str, *, owners: bool) -> File:
    status = full.lstat()
    mode = stat.S_IMODE(status.st_mode)
    uid, gid = (status.st_uid, status.st_gid) if owners else (0, 0)
    if stat.S_ISLNK(status.st_mode):
        return File(path, kind="link", target=os.readlink(full), uid=uid, gid=gid)
    if stat.S_ISDIR(status.st_mode):
        return File(path, kind="dir", mode=mode, uid=uid, gid=gid)
    if stat.S_ISREG(status.st_mode):
        return File(path, content=full.read_bytes(), mode=mode, uid=uid, gid=gid)
    raise BuildFailed(f"{full}: neither a file, a folder nor a symbolic link")


@contextmanager
def _unpacked(package: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trireme-unpack-") as root:
        _run(["dpkg-deb", "--extract", str(package), root], cwd="/")
        yield Path(root)


def _run(argv: list[str], cwd: str) -> None:
    try:
        done = subprocess.run(argv, cwd=cwd, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise BuildFailed(f"{argv[0]} is not installed: packages need a Debian system") from None
    if done.returncode:
        raise BuildFailed(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")


def _blob(blobs: dict[str, bytes], content: bytes, media_type: str) -> dict[str, Any]:
    digest = _digest(content)
    blobs[digest.removeprefix("sha256:")] = content
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
