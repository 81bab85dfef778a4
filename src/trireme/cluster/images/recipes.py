"""The bundled images: pause and busybox.

In: this machine's name and, for busybox, its statically linked busybox or the Debian package.
Out: `ImageSpec`s for `build`.  Called by `cluster.up`, which loads them into each node, and by
`trireme image build`.

Their names are those of the images that they stand for, so that common manifests work without a
registry.  None is tagged only `latest`, whose pull policy would ask for one.
"""

import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from trireme.cluster.hosts import render
from trireme.cluster.images import build, elf, pause
from trireme.cluster.images.build import BuildFailed, Config, File, ImageSpec

_BUSYBOX_PACKAGE = "busybox-static"


def bundled() -> list[ImageSpec]:
    """All bundled images for this machine."""
    return [pause_image(), busybox_image()]


def pause_image(machine: str = "") -> ImageSpec:
    """The image of pods' sandboxes: a single static program."""
    machine = machine or platform.machine()
    return ImageSpec(
        names=(render.PAUSE_IMAGE,),
        files=(File("pause", content=pause.program(machine)),),
        config=Config(entrypoint=("/pause",), user="65535:65535"),
        machine=machine,
    )


def busybox_image() -> ImageSpec:
    """A small userland (sh, httpd, wget, nslookup, nc, ...) for examples and debugging.

    Tagged `stable`, `latest` and its version, such as `1.35`.  Debian's before 1.36.1-5 crashes at
    `wget -T`: write `timeout 2 wget` instead.
    Raises BuildFailed if the host has no static busybox and the package cannot be fetched.
    """
    program = _static_busybox()
    applets, version = _ask(program)
    files = [
        File("bin/busybox", content=program),
        *(
            File(f"bin/{name}", kind="link", target="busybox")
            for name in applets
            if name != "busybox"
        ),
        File("etc/passwd", content=_PASSWD, mode=0o644),
        File("etc/group", content=_GROUP, mode=0o644),
        File("root", kind="dir", mode=0o700),
        File("tmp", kind="dir", mode=0o1777),
        File("var/www", kind="dir"),
        *(File(name, kind="dir") for name in ("dev", "home", "proc", "sys")),
    ]
    tags = ("stable", "latest", version.rpartition(".")[0])
    return ImageSpec(
        names=tuple(f"docker.io/library/busybox:{tag}" for tag in tags),
        files=tuple(files),
        config=Config(cmd=("sh",)),
        machine=platform.machine(),
    )


_PASSWD = b"""root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUP = b"root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"


def _static_busybox() -> bytes:
    installed = shutil.which("busybox")
    if installed is not None:
        program = Path(installed).read_bytes()
        if elf.is_program(program) and not elf.loader(program):
            return program
    for file in build.packages([_BUSYBOX_PACKAGE]):
        if file.path in ("bin/busybox", "usr/bin/busybox") and file.kind == "file":
            return file.content
    raise BuildFailed(f"package {_BUSYBOX_PACKAGE} has no bin/busybox")


def _ask(program: bytes) -> tuple[list[str], str]:
    """Its applets and its version, as it names them itself."""
    with tempfile.TemporaryDirectory(prefix="trireme-busybox-") as folder:
        path = Path(folder, "busybox")
        path.write_bytes(program)
        path.chmod(0o755)
        applets = subprocess.run([path, "--list"], check=True, capture_output=True, text=True)
        banner = subprocess.run([path], check=True, capture_output=True, text=True).stdout
    return applets.stdout.split(), banner.split()[1].removeprefix("v")
