"""Archives of other tools: what is in them, and how containerd gets them."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from trireme.cluster.images import archive, build
from trireme.cluster.images.build import File, ImageSpec

CONFIG = {"os": "linux", "architecture": "arm64"}


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def docker(tags: list[str] | None) -> bytes:
    manifest = [{"Config": "c.json", "RepoTags": tags, "Layers": ["l/layer.tar"]}]
    return tar_of(
        {
            "manifest.json": json.dumps(manifest).encode(),
            "c.json": json.dumps(CONFIG).encode(),
            "l/layer.tar": b"x" * 1000,
        }
    )


def oci(annotations: dict[str, str], *, nested: bool = False) -> bytes:
    blobs: dict[str, bytes] = {}

    def put(content: bytes, **more: Any) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content), **more}

    manifest = {
        "config": put(json.dumps(CONFIG).encode()),
        "layers": [put(b"layer" * 100), put(b"other" * 10)],
    }
    descriptor = put(json.dumps(manifest).encode(), mediaType="m")
    if nested:
        absent = {"digest": "sha256:" + "0" * 64, "size": 1}
        index = {"manifests": [descriptor, absent]}
        descriptor = put(json.dumps(index).encode())
    top = {"schemaVersion": 2, "manifests": [{**descriptor, "annotations": annotations}]}
    return tar_of({"index.json": json.dumps(top).encode(), **blobs})


def write(folder: Path, data: bytes) -> Path:
    path = folder / "image.tar"
    path.write_bytes(data)
    return path


def test_docker_archive(tmp_path):
    (image,) = archive.read(write(tmp_path, docker(["app:1", "quay.io/me/app"])))
    assert image.names == ("docker.io/library/app:1", "quay.io/me/app:latest")
    assert image.platforms == ("linux/arm64",)
    assert (image.layers, image.size, image.digest) == (1, 1000, "")


@pytest.mark.parametrize("nested", [False, True])
def test_oci_archive(tmp_path, nested):
    data = oci({"org.opencontainers.image.ref.name": "quay.io/me/app:1"}, nested=nested)
    (image,) = archive.read(write(tmp_path, data))
    assert image.names == ("quay.io/me/app:1",)
    assert (image.layers, image.size) == (2, 550)
    assert image.platforms == ("linux/arm64",)


def test_names_are_written_where_containerd_looks(tmp_path):
    path = write(tmp_path, oci({"org.opencontainers.image.ref.name": "me/app:1"}))
    out = tmp_path / "out.tar"
    assert archive.prepare(path, out) == ["docker.io/me/app:1"]
    with tarfile.open(out) as tar:
        file = tar.extractfile("index.json")
        assert file is not None
        index = json.load(file)
    (descriptor,) = index["manifests"]
    assert descriptor["annotations"][archive.CONTAINERD_NAME] == "docker.io/me/app:1"


def test_a_mere_tag_is_no_name(tmp_path):
    path = write(tmp_path, oci({"org.opencontainers.image.ref.name": "latest"}))
    with pytest.raises(archive.BadArchive, match="has no name in it: give one"):
        archive.prepare(path, tmp_path / "out.tar")
    assert archive.prepare(path, tmp_path / "out.tar", ["app"]) == ["docker.io/library/app:latest"]
    assert archive.read(tmp_path / "out.tar")[0].names == ("docker.io/library/app:latest",)


def test_a_name_given_for_several_images_is_refused(tmp_path):
    specs = [ImageSpec((name,), (File(name, content=b"x"),)) for name in ("a", "b")]
    path = write(tmp_path, build.build(specs))
    with pytest.raises(archive.BadArchive, match="there are 2 images"):
        archive.prepare(path, tmp_path / "out.tar", ["app"])


def test_a_docker_archive_gets_a_name(tmp_path):
    path = write(tmp_path, docker(None))
    assert archive.prepare(path, tmp_path / "out.tar", ["app:2"]) == ["docker.io/library/app:2"]
    assert archive.read(tmp_path / "out.tar")[0].names == ("docker.io/library/app:2",)


def test_a_compressed_archive_comes_out_plain(tmp_path):
    path = write(tmp_path, gzip.compress(docker(["app"])))
    archive.prepare(path, tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar", "r:") as tar:
        assert "manifest.json" in tar.getnames()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "not a tar file"),
        (b"", "not a tar file|neither index.json"),
        (b"\x28\xb5\x2f\xfdxxxx" + bytes(600), "zstd"),
        (tar_of({"a": b"x"}), "neither index.json"),
        (tar_of({"index.json": b"{"}), "index.json is not JSON"),
        (tar_of({"index.json": b"[]"}), "no list 'manifests'"),
        (tar_of({"index.json": b'{"manifests": [{}]}'}), "without a digest"),
        (tar_of({"index.json": b'{"manifests": [{"digest": "sha256:1"}]}'}), "is missing"),
        (tar_of({"manifest.json": b"{}"}), "not a list"),
        (tar_of({"manifest.json": b'[{"Config": "c"}]'}), "c is missing"),
        (docker(["app"])[:1500], "cut off or damaged|is missing|neither"),
    ],
)
def test_what_is_wrong_with_an_archive_is_said(tmp_path, data, reason):
    with pytest.raises(archive.BadArchive, match=reason):
        archive.read(write(tmp_path, data))
