"""What an image lacks is named before a pod crashes for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from trireme.cluster.commands.image import COMMAND
from trireme.cluster.images import check, elf, pause, services
from trireme.cluster.images.build import BuildFailed, Config, File

SCRIPT = File("usr/bin/run", content=b"#!/bin/sh\nexec app\n")
STATIC = File("usr/bin/app", content=pause.program("x86_64"))
PASSWD = File("etc/passwd", content=b"root:x:0:0::/:/bin/sh\napp:x:100:101::/:/bin/sh\n")
GROUP = File("etc/group", content=b"root:x:0:\napps:x:101:\n")


def lacks(*files: File, **config: Any) -> list[str]:
    return check.missing(files, Config(**config))


def test_nothing_is_started_and_nothing_is_missing() -> None:
    assert lacks() == []
    assert lacks(STATIC, entrypoint=("app",)) == []
    assert lacks(STATIC, cmd=("/usr/bin/app", "x")) == []
    assert lacks(STATIC, cmd=("bin/app",), workdir="/usr") == []


def test_the_program_is_missing() -> None:
    assert lacks(STATIC, entrypoint=("other",)) == ["the program other"]
    assert lacks(STATIC, entrypoint=("/app",)) == ["the program /app"]
    assert lacks(STATIC, entrypoint=("app",), env=("PATH=/opt",)) == ["the program app"]
    assert lacks(File("app", kind="dir"), entrypoint=("/app",)) == ["the program /app"]
    plain = File("app", content=b"#!/app", mode=0o644)
    assert lacks(plain, entrypoint=("/app",)) == [
        "the right to execute /app",
        "an interpreter for /app that is no script itself",
    ]


def test_links_are_followed_within_the_image() -> None:
    links = (File("bin", kind="link", target="usr/bin"), File("a", kind="link", target="/bin/b"))
    b = File("usr/bin/b", kind="link", target="../bin/./app")
    assert lacks(STATIC, *links, b, entrypoint=("/a",)) == []
    round_ = File("a", kind="link", target="a")
    assert lacks(round_, entrypoint=("/a",)) == ["the program /a"]


def test_the_interpreter_of_a_script_is_missing() -> None:
    assert lacks(SCRIPT, entrypoint=("run",)) == ["the program /bin/sh"]
    shell = File("bin/sh", content=STATIC.content)
    assert lacks(SCRIPT, shell, entrypoint=("run",)) == []
    env = File("run", content=b"#!/usr/bin/env python3\n")
    assert lacks(env, File("usr/bin/env", content=STATIC.content), entrypoint=("/run",)) == [
        "the program python3"
    ]


def test_users_and_groups_are_missing() -> None:
    assert lacks(PASSWD, GROUP, user="app:apps") == []
    assert lacks(user="1000:1000") == []
    assert lacks(user="app") == ["app in /etc/passwd"]
    assert lacks(PASSWD, GROUP, user="nobody:games") == [
        "nobody in /etc/passwd",
        "games in /etc/group",
    ]


@pytest.fixture
def dynamic() -> bytes:
    """A program of this machine that needs a loader and libraries."""
    found = shutil.which("ls") or ""
    content = Path(found).read_bytes() if found else b""
    if not elf.loader(content):
        pytest.skip("this machine's ls is static")
    return content


def test_the_loader_and_libraries_are_missing(dynamic: bytes) -> None:
    names = elf.libraries(dynamic)
    assert any(name.startswith("libc.") for name in names)
    program = File("ls", content=dynamic)
    assert lacks(program, entrypoint=("/ls",)) == [
        f"{elf.loader(dynamic)}, the loader of /ls",
        *(f"{name}, a library of /ls" for name in names),
    ]
    loader = File(elf.loader(dynamic).lstrip("/"), content=STATIC.content)
    libraries = [File(f"usr/lib/{name}", content=STATIC.content) for name in names]
    assert lacks(program, loader, *libraries, entrypoint=("/ls",)) == []
    # What a library needs, the program needs.
    libraries[0] = File(f"usr/lib/{names[0]}", content=dynamic)
    extra = [name for name in names if name != names[0]]
    assert lacks(program, loader, libraries[0], entrypoint=("/ls",)) == [
        f"{name}, a library of /ls" for name in extra
    ]


@pytest.mark.parametrize("content", [b"", b"\x7fELF\x02", b"\x7fELF\x02" + b"\xff" * 200])
def test_what_is_no_program_asks_for_nothing(content: bytes) -> None:
    assert (elf.loader(content), elf.libraries(content)) == ("", [])


def test_the_build_says_what_is_missing(tmp_path: Path, dynamic: bytes) -> None:
    folder, output = tmp_path / "files", tmp_path / "image.tar"
    folder.mkdir()
    (folder / "server").write_bytes(dynamic)
    (folder / "server").chmod(0o755)
    arguments = ["build", "app:1", "--folder", str(folder), "-o", str(output)]
    done = CliRunner().invoke(COMMAND, [*arguments, "--entrypoint", "/server", "--user", "app"])
    assert isinstance(done.exception, BuildFailed)
    assert "app in /etc/passwd" in str(done.exception)
    assert f"{elf.loader(dynamic)}, the loader of /server" in str(done.exception)
    assert not output.exists()
    done = CliRunner().invoke(COMMAND, arguments)
    assert done.exit_code == 0 and output.exists()


def test_directories_of_services() -> None:
    tmpfiles = File(
        "usr/lib/tmpfiles.d/app.conf",
        content=b"# no\nd /run/app 2750 app apps -\nD! /var/run/two - - -\nf /run/file - - -\n"
        b"d /run/%m 0755 - -\nd /var/log/there 0700 app apps -\n",
    )
    unit = File(
        "lib/systemd/system/app.service",
        content=b"[Service]\nUser=app\nGroup=apps\nRuntimeDirectory=a b:c\n"
        b"RuntimeDirectoryMode=0710\nStateDirectory=app/data\n",
    )
    there = File("var/log/there", kind="dir")
    files = {file.path: file for file in (PASSWD, GROUP, tmpfiles, unit, there)}
    assert services.directories(files) == [
        File("run/a", kind="dir", mode=0o710, uid=100, gid=101),
        File("run/app", kind="dir", mode=0o2750, uid=100, gid=101),
        File("run/b", kind="dir", mode=0o710, uid=100, gid=101),
        File("run/two", kind="dir", mode=0o755),
        File("var/lib/app/data", kind="dir", mode=0o755, uid=100, gid=101),
    ]
