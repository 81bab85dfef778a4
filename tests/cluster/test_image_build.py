"""Images built here: the same bytes each time, and what was asked for."""

import io
import json
import os
import struct
import tarfile

import pytest

from trireme.cluster.images import archive, build, pause
from trireme.cluster.images.build import Config, File, ImageSpec

SPEC = ImageSpec(
    names=("app:1",),
    files=(
        File("srv/index.html", content=b"hello", mode=0o644),
        File("bin/sh", kind="link", target="busybox"),
        File("tmp", kind="dir", mode=0o1777),
    ),
    config=Config(
        entrypoint=("/bin/sh",),
        cmd=("-c", "true"),
        user="1000",
        ports=("80/tcp",),
        labels={"a": "b"},
    ),
)


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def blob(data: bytes, digest: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
        assert file is not None
        return file.read()


def manifest(data: bytes) -> dict:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile("index.json")
        assert file is not None
        return json.loads(blob(data, json.load(file)["manifests"][0]["digest"]))


def test_the_same_files_give_the_same_bytes():
    again = ImageSpec(SPEC.names, tuple(reversed(SPEC.files)), SPEC.config)
    assert build.build([SPEC]) == build.build([again])


def test_the_configuration_is_that_of_a_dockerfile():
    data = build.build([SPEC])
    config = json.loads(blob(data, manifest(data)["config"]["digest"]))
    assert config["architecture"] == "amd64"
    assert config["config"] == {
        "Entrypoint": ["/bin/sh"],
        "Cmd": ["-c", "true"],
        "User": "1000",
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "WorkingDir": "/",
        "Labels": {"a": "b"},
    }


def test_the_layer_holds_files_links_and_parents():
    data = build.build([SPEC])
    layer = members(blob(data, manifest(data)["layers"][0]["digest"]))
    assert list(layer) == ["bin", "bin/sh", "srv", "srv/index.html", "tmp"]
    assert layer["bin/sh"].linkname == "busybox"
    assert layer["tmp"].mode == 0o1777
    assert all((entry.mtime, entry.uid, entry.uname) == (0, 0, "") for entry in layer.values())


def test_a_folder_keeps_modes_and_links(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "run").chmod(0o750)
    (tmp_path / "start").symlink_to("bin/run")
    found = {file.path: file for file in build.folder(tmp_path, at="/app")}
    assert found["app/bin"].kind == "dir"
    assert found["app/bin/run"].mode == 0o750
    assert found["app/start"] == File("app/start", kind="link", target="bin/run")


def test_a_pipe_in_a_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(build.BuildFailed, match="pipe: neither a file"):
        list(build.folder(tmp_path))


def test_names_and_machines_are_checked():
    with pytest.raises(ValueError, match="name 'APP'"):
        build.build([ImageSpec(("APP",), ())])
    with pytest.raises(ValueError, match="no images for machine 'riscv64'"):
        build.build([ImageSpec(("app",), (), machine="riscv64")])


def test_what_is_built_can_be_read(tmp_path):
    path = tmp_path / "app.tar"
    path.write_bytes(build.build([SPEC]))
    (image,) = archive.read(path)
    assert image.names == ("docker.io/library/app:1",)
    assert image.platforms == ("linux/amd64",)
    assert image.layers == 1


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_pause_is_a_static_executable(machine, number):
    program = pause.program(machine)
    assert len(program) < 400
    assert program[:7] == b"\x7fELF\x02\x01\x01"
    kind, elf_machine = struct.unpack_from("<HH", program, 16)
    (entry,) = struct.unpack_from("<Q", program, 24)
    assert (kind, elf_machine, entry) == (2, number, 0x4000B0)
    kind, flags = struct.unpack_from("<II", program, 64)
    offset, address, _, size = struct.unpack_from("<QQQQ", program, 72)
    assert (kind, flags, offset, address, size) == (1, 5, 0, 0x400000, len(program))


def test_pause_for_arm_word_by_word():
    """Against the architecture's manual, as no such machine is at hand."""
    words = struct.unpack_from("<33I", pause.program("aarch64"), 176)
    assert words[0] == 0xD2800220  # mov x0, 17
    assert words[6] == 0xD28010C8  # mov x8, 134
    assert words[7] == 0xD4000001  # svc 0
    assert 0xD2801128 in words  # mov x8, 137
    branch = next(index for index, word in enumerate(words) if word >> 24 == 0x37)
    back = (words[branch] >> 5 & 0x3FFF) - 0x4000
    assert words[branch + back] & 0xFFE0001F == 0xD2800000  # movz x0, the set of signals
    assert words[branch + back - 1] == 0xD4000001  # after the system call before the loop
    assert 0xD2800BC8 in words[branch:]  # mov x8, 94


def test_no_pause_for_an_unknown_machine():
    with pytest.raises(ValueError, match="machine 'riscv64'"):
        pause.program("riscv64")
